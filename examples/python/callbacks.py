"""callbacks.py FILTER -- print every message, by callbacks as paho has them."""
import sys
from typing import Any

import pixi_ws


def on_connect(client: pixi_ws.Client, userdata: Any, flags: int, rc: int) -> None:
    print("connected with result code", int(rc), file=sys.stderr, flush=True)
    if rc == 0 and not flags & pixi_ws.CONNECT_AGAIN:  # what was subscribed to is subscribed to again by itself
        client.subscribe(sys.argv[1])


def on_message(client: pixi_ws.Client, userdata: Any, message: pixi_ws.Message) -> None:
    print(message.topic, message.text, flush=True)


client = pixi_ws.Client()
client.on_connect = on_connect
client.on_message = on_message
client.loop_forever()
