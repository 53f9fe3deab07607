"""A link between this program and a Pixi server: libpixiws for Python.

    import pixi_ws

    with pixi_ws.Client("config/websocket_settings.json") as client:
        client.send_message("event/tram/7", '{"x": 12}')

pixi_ws.aio.Client is the same for asyncio. docs/python.md tells the rest.
"""

from ._core import Close, State
from ._library import lib as _lib
from .client import CONNECT_AGAIN, Client
from .errors import (
    RC,
    TLS,
    CannotConnect,
    Closed,
    Error,
    Failed,
    Full,
    Internal,
    Key,
    Lost,
    NameUnknown,
    NoResponder,
    Protocol,
    Settings,
    Timeout,
    TooLarge,
    Upgrade,
    Usage,
)
from .message import Message

__version__ = "0.1.0"
library_version: str = _lib.pixi_version().decode()

__all__ = [
    "CONNECT_AGAIN",
    "CannotConnect",
    "Client",
    "Close",
    "Closed",
    "Error",
    "Failed",
    "Full",
    "Internal",
    "Key",
    "Lost",
    "Message",
    "NameUnknown",
    "NoResponder",
    "Protocol",
    "RC",
    "Settings",
    "State",
    "TLS",
    "Timeout",
    "TooLarge",
    "Upgrade",
    "Usage",
    "library_version",
]
