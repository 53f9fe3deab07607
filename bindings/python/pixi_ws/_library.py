"""libpixiws by ctypes: where it is found, and its structs and functions as include/pixiws/*.h declare them."""

import ctypes
import os
from ctypes import POINTER, c_char, c_char_p, c_int, c_size_t, c_uint, c_uint16, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

SONAME = "libpixiws.so.0"
VERSION_NEEDED = (0, 1, 0)  # of the headers that the structs below were written from

SEND_RETAIN, SEND_QUEUE, SEND_NOWAIT = 1, 2, 4
SUBSCRIBE_NO_RETAINED, SUBSCRIBE_NOWAIT = 1, 2
MESSAGE_RETAINED, MESSAGE_JSON, MESSAGE_STORED, MESSAGE_REQUEST, MESSAGE_AFTER_GAP = 1, 2, 4, 8, 16
START_RETRY = 1


class CError(ctypes.Structure):
    _fields_ = [
        ("rc", c_int),
        ("code", c_int),
        ("name", c_char_p),
        ("layer", c_char_p),
        ("clause", c_char_p),
        ("is_final", c_int),
        ("close_code", c_uint16),
        ("retry_after_ms", c_uint32),
        ("reason", c_char * 124),
        ("cause", c_char * 2048),
        ("fix", c_char * 640),
        ("reserved", c_uint64 * 8),
    ]


class CHeader(ctypes.Structure):
    _fields_ = [("name", c_void_p), ("name_len", c_size_t), ("value", c_void_p), ("value_len", c_size_t)]


class CMessage(ctypes.Structure):
    _fields_ = [
        ("flags", c_uint),
        ("topic", c_char_p),
        ("filter", c_char_p),
        ("payload", c_void_p),
        ("payload_len", c_size_t),
        ("headers", POINTER(CHeader)),
        ("header_count", c_size_t),
        ("time_ms", c_uint64),
        ("epoch", c_uint64),
        ("offset", c_uint64),
        ("request", c_uint64),
        ("connection", c_uint64),
    ]


# Called by the library with its client first. ctx is a number of ours.
ON_SENT = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, POINTER(CError))
ON_REPLY = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, POINTER(CMessage), POINTER(CError))
ON_CONNECT = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_uint, c_int, POINTER(CError))
ON_MESSAGE = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, POINTER(CMessage))
ON_CLOSE = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_int, POINTER(CError))
ON_UNSUBSCRIBED = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_char_p, c_int, POINTER(CError))


class CSendOptions(ctypes.Structure):
    _fields_ = [
        ("flags", c_uint),
        ("timeout_ms", c_int),
        ("expiry_s", c_uint32),
        ("header_count", c_size_t),
        ("headers", POINTER(CHeader)),
        ("on_sent", ON_SENT),
        ("ctx", c_void_p),
    ]


class CCallbacks(ctypes.Structure):
    _fields_ = [
        ("on_connect", ON_CONNECT),
        ("on_message", ON_MESSAGE),
        ("on_close", ON_CLOSE),
        ("on_unsubscribed", ON_UNSUBSCRIBED),
    ]


CLIENT, ERROR, MESSAGE = c_void_p, POINTER(CError), POINTER(CMessage)

# name: (what it returns, what it takes). ctypes lets other threads run while one is inside.
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "pixi_version": (c_char_p, []),
    "pixi_version_number": (c_int, []),
    "pixi_rc_name": (c_char_p, [c_int]),
    "pixi_rc_text": (c_char_p, [c_int]),
    "pixi_message_free": (None, [c_void_p]),
    "pixi_client_new": (CLIENT, [c_char_p, c_char_p, c_char_p, ERROR]),
    "pixi_client_new_from_file": (CLIENT, [c_char_p, ERROR]),
    "pixi_client_new_from_text": (CLIENT, [c_char_p, c_size_t, ERROR]),
    "pixi_client_set": (c_int, [CLIENT, c_char_p, c_char_p, ERROR]),
    "pixi_client_free": (None, [CLIENT]),
    "pixi_client_name": (c_char_p, [CLIENT]),
    "pixi_client_state": (c_int, [CLIENT]),
    "pixi_client_connect": (c_int, [CLIENT, c_int, ERROR]),
    "pixi_client_start": (c_int, [CLIENT, c_uint, ERROR]),
    "pixi_client_close": (c_int, [CLIENT, c_uint16, c_char_p, c_int, ERROR]),
    "pixi_client_send_message": (c_int, [CLIENT, c_char_p, c_char_p, c_size_t, POINTER(CSendOptions), ERROR]),
    "pixi_client_flush": (c_int, [CLIENT, c_int, ERROR]),
    "pixi_client_request": (c_int, [CLIENT, c_char_p, c_char_p, c_size_t, c_int, POINTER(c_void_p), ERROR]),
    "pixi_client_reply": (c_int, [CLIENT, MESSAGE, c_char_p, c_size_t, ERROR]),
    "pixi_client_reply_error": (c_int, [CLIENT, MESSAGE, c_char_p, ERROR]),
    "pixi_client_subscribe": (c_int, [CLIENT, c_char_p, c_uint, ERROR]),
    "pixi_client_unsubscribe": (c_int, [CLIENT, c_char_p, ERROR]),
    "pixi_client_recv": (c_int, [CLIENT, c_int, POINTER(c_void_p), ERROR]),
    "pixi_client_set_callbacks": (None, [CLIENT, POINTER(CCallbacks), c_void_p]),
    "pixi_client_fd": (c_int, [CLIENT]),
    "pixi_client_next_deadline": (c_int, [CLIENT]),
    "pixi_client_process": (c_int, [CLIENT, c_int, ERROR]),
    "pixi_client_request_start": (
        c_int,
        [CLIENT, c_char_p, c_char_p, c_size_t, c_int, ON_REPLY, c_void_p, ERROR],
    ),
}


def _open() -> ctypes.CDLL:
    """From PIXI_WS_LIBRARY alone where that is set; else this package's own copy, else what the system finds."""
    own = Path(__file__).parent / SONAME
    named = os.environ.get("PIXI_WS_LIBRARY")
    tried = []
    for place in [named] if named else [str(own), SONAME]:
        if place == str(own) and not own.exists():
            tried.append(f"{own}: not there")
            continue
        try:
            return ctypes.CDLL(place)
        except OSError as e:
            tried.append(str(e) if place in str(e) else f"{place}: {e}")
    raise ImportError(
        f"pixi_ws: libpixiws cannot be loaded ({'; '.join(tried)}). It is looked for where the environment variable "
        f"PIXI_WS_LIBRARY says{'' if named else ' (not set)'}, else beside the module (wheels have it there: {own}), "
        f"else as {SONAME} where the system looks (ldconfig, LD_LIBRARY_PATH)"
    )


def _check_version(library: ctypes.CDLL) -> None:
    needed = ".".join(map(str, VERSION_NEEDED))
    try:
        number = library.pixi_version_number()
    except AttributeError:
        raise ImportError(f"pixi_ws: {library._name} is no libpixiws: it has no pixi_version_number") from None
    major, minor, patch = number // 10000, number // 100 % 100, number % 100
    if major != VERSION_NEEDED[0] or (major, minor, patch) < VERSION_NEEDED:
        raise ImportError(
            f"pixi_ws: {library._name} is libpixiws {major}.{minor}.{patch}; "
            f"this module needs {needed} or later, below {VERSION_NEEDED[0] + 1}.0.0"
        )


def _load() -> Any:
    library = _open()
    _check_version(library)
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


lib = _load()
