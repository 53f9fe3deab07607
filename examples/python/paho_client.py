"""Connects to a Pixi server by MQTT over WebSocket and prints what comes.

PIXI_WS_API_KEY=... python3 paho_client.py [URL [FILTER]]
"""

import os
import sys
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt  # type: ignore


def on_connect(client: Any, topics: str, flags: Any, code: int) -> None:
    print(f"connected with result code {code}", flush=True)
    client.subscribe(topics)


def on_message(client: Any, topics: str, message: Any) -> None:
    print(message.payload.decode(errors="replace"), flush=True)


def main() -> None:
    url = urlsplit(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8768/api/v1")
    client = mqtt.Client(userdata=sys.argv[2] if len(sys.argv) > 2 else "#", transport="websockets")
    client.on_connect = on_connect
    client.on_message = on_message
    client.ws_set_options(path=url.path)
    client.username_pw_set("pixi", os.environ["PIXI_WS_API_KEY"])
    if url.scheme == "wss":
        client.tls_set()
    client.connect(url.hostname, url.port or (443 if url.scheme == "wss" else 80))
    try:
        client.loop_forever()
    except KeyboardInterrupt:
        client.disconnect()


if __name__ == "__main__":
    main()
