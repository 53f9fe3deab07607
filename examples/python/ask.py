"""ask.py TOPIC PAYLOAD -- send a request, print the reply."""
import sys

import pixi_ws

with pixi_ws.Client() as client:
    print(client.request(sys.argv[1], sys.argv[2]).text)
