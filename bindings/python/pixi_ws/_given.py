"""Arguments as C takes them. What cannot be taken is a TypeError or ValueError that names the argument."""

import ctypes
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any, Optional, Union

from . import _library as c

Payload = Union[bytes, bytearray, memoryview, str, None]
Headers = Union[Mapping[str, str], Iterable[tuple[str, str]]]
INT_MAX = 2**31 - 1


def wrong(name: str, value: object, wanted: str) -> TypeError:
    return TypeError(f"{name}: {wanted}, not {type(value).__name__}")


def utf8(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise wrong(name, value, "a str")
    if "\0" in value:
        raise ValueError(f"{name}: may not hold a NUL character")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as e:
        raise ValueError(f"{name}: not Unicode: {e}") from None


def payload(value: object, name: str = "payload") -> bytes:
    """bytes as they are, str as UTF-8, None as nothing."""
    if isinstance(value, bytes):
        return value
    if value is None:
        return b""
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError as e:
            raise ValueError(f"{name}: not Unicode: {e}") from None
    raise wrong(name, value, "bytes, a bytearray, a memoryview or a str (json.dumps makes one)")


def path(name: str, value: "Union[str, os.PathLike[str], None]") -> Optional[bytes]:
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise wrong(name, value, "a path, a dict of settings, or a name that a URL follows")
    found = os.fsencode(value)
    if b"\0" in found:
        raise ValueError(f"{name}: may not hold a NUL character")
    return found


def milliseconds(name: str, seconds: object) -> int:
    """None: -1. Rounded up, so that a short wait is not none."""
    if seconds is None:
        return -1
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise wrong(name, seconds, "seconds or None")
    if not seconds >= 0:
        raise ValueError(f"{name}: {seconds} seconds cannot be waited for; 0 or more, or None")
    return INT_MAX if seconds > INT_MAX / 1000 else math.ceil(seconds * 1000)


def number(name: str, value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(name, value, "an int")
    if not 0 <= value <= most:
        raise ValueError(f"{name}: 0 .. {most}, not {value}")
    return value


def function(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise wrong(name, value, "a function or None")
    return value


def pairs(headers: Headers) -> list[tuple[bytes, bytes]]:
    items = headers.items() if isinstance(headers, Mapping) else headers
    if isinstance(items, (str, bytes)):
        raise wrong("headers", items, "a dict or pairs of str")
    out = []
    for item in items:
        if not isinstance(item, (tuple, list)) or len(item) != 2 or not all(isinstance(t, str) for t in item):
            raise TypeError(f"headers: a dict or pairs of str, not with {item!r}")
        out.append((payload(item[0], "headers"), payload(item[1], "headers")))
    return out


class SendOptions:
    """A pixi_send_options with all that it points at."""

    def __init__(self, flags: int, timeout_ms: int, expiry: int, headers: Headers) -> None:
        self._texts = pairs(headers)
        array = (c.CHeader * len(self._texts))()
        for i, (name, value) in enumerate(self._texts):
            array[i].name, array[i].name_len = ctypes.cast(ctypes.c_char_p(name), ctypes.c_void_p).value, len(name)
            array[i].value, array[i].value_len = ctypes.cast(ctypes.c_char_p(value), ctypes.c_void_p).value, len(value)
        self.raw = c.CSendOptions(flags=flags, timeout_ms=timeout_ms, expiry_s=number("expiry", expiry, 2**32 - 1))
        self.raw.header_count = len(self._texts)
        self.raw.headers = ctypes.cast(array, ctypes.POINTER(c.CHeader))
        self._array = array
