"""sender.py TOPIC PAYLOAD -- send one message, as config/websocket_settings.json says."""
import sys

import pixi_ws

with pixi_ws.Client() as client:
    client.send_message(sys.argv[1], sys.argv[2])
