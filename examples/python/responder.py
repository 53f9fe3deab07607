"""responder.py TOPIC -- answer every request on TOPIC (request/...) with what it asked."""
import sys

import pixi_ws

with pixi_ws.Client() as client:
    client.subscribe(sys.argv[1])
    for message in client:
        if message.is_request:
            client.reply(message, message.payload)
