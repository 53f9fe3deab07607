"""listener.py FILTER -- print every message, until the server says that this is the end."""
import sys

import pixi_ws

with pixi_ws.Client() as client:
    client.subscribe(sys.argv[1])
    for message in client:
        print(message.topic, message.text, flush=True)
