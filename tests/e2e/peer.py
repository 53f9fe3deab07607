"""Whatever else may listen on a port: a TCP server of a few lines, one thread for each connection."""

import base64
import contextlib
import hashlib
import socket
import struct
import threading

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Peer:
    """Listens on 127.0.0.1 while its `with` lasts; talk(sock) is what it does with a connection."""

    def __init__(self, talk):
        self.talk = talk
        self.socks = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/api/v1"
        self.key = ""
        self.heads = []  # of the requests that were read
        self.accepted, self.upgraded = threading.Semaphore(0), threading.Semaphore(0)

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.socks.append(sock)
                self.accepted.release()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock, contextlib.suppress(OSError, EOFError):
            self.talk(self, sock)

    def head(self, sock):
        """Read a request's head; its fields with lower-case names."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            some = sock.recv(1)
            if not some:
                raise EOFError
            head += some
        self.heads.append(head)
        pairs = (line.split(b":", 1) for line in head.split(b"\r\n")[1:-2])
        return {name.lower().decode(): value.strip() for name, value in pairs}


def hold(peer, sock):
    """Reads on and on, says nothing."""
    while sock.recv(65536):
        pass


def upgrade(peer, sock, protocol=b"pixi.v1"):
    """To a WebSocket that says pixi.v1, or another, or (None) nothing."""
    key = peer.head(sock)["sec-websocket-key"]
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    selected = b"Sec-WebSocket-Protocol: " + protocol + b"\r\n" if protocol else b""
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + selected + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    peer.upgraded.release()


def says(answer, then=None, first=None):
    """A talk: `first` reads (upgrade: answers too), then these bytes, then another talk or the end."""

    def talk(peer, sock):
        if first:
            first(peer, sock)
        sock.sendall(answer)
        if then:
            then(peer, sock)

    return talk


def read_head(peer, sock):
    peer.head(sock)


def close_frame(code, reason=b""):
    return bytes([0x88, 2 + len(reason)]) + struct.pack("!H", code) + reason


def some(sock, count):
    out = b""
    while len(out) < count:
        more = sock.recv(count - len(out))
        if not more:
            raise EOFError
        out += more
    return out


def message(sock):
    """The payload of the next frame that a client sends, whatever its opcode."""
    size = some(sock, 2)[1] & 127
    if size >= 126:
        size = int.from_bytes(some(sock, 2 if size == 126 else 8), "big")
    mask = some(sock, 4)
    return bytes(b ^ mask[i % 4] for i, b in enumerate(some(sock, size)))
