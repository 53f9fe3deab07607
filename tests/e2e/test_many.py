"""As many connections as the server lets in, all at once, and a polite no to the others."""

import json
import resource
import select
import socket

import pytest

import metrics

MANY = 10000
IN_FLIGHT = 200  # handshakes at a time
SPARE = 200  # descriptors for everything else
CONN_BYTES = 3072  # what an idle connection may cost; one buffer alone would be 16 KiB


class Crowd:
    """Connections of one process, by epoll."""

    def __init__(self, server):
        self.server, self.open = server, []

    def _start(self, poller, waiting, request):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex((self.server.host, self.server.port))
        waiting[sock.fileno()] = sock, request
        poller.register(sock, select.EPOLLOUT)

    def _step(self, poller, fd, waiting, answers):
        sock, request = waiting[fd]
        if request:
            sock.sendall(request)
            waiting[fd] = sock, None
            poller.modify(fd, select.EPOLLIN)
            return
        head = sock.recv(65536)
        poller.unregister(fd)
        del waiting[fd]
        answers.append((sock, head))

    def join(self, count):
        """Connect so many; (socket, the answer's bytes) of each."""
        lines = ["GET /api/v1 HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade", self.server.bearer]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        poller, waiting, answers, started = select.epoll(), {}, [], 0
        while len(answers) < count:
            while started < count and len(waiting) < IN_FLIGHT:
                self._start(poller, waiting, request)
                started += 1
            events = poller.poll(20)
            assert events, f"{len(answers)} of {count} were answered"
            for fd, _ in events:
                self._step(poller, fd, waiting, answers)
        poller.close()
        return answers


def frame(text):
    """A masked text frame of less than 126 bytes; the mask is 0."""
    data = text.encode()
    return bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data


def ping(sock):
    sock.setblocking(True)
    sock.settimeout(20)
    sock.sendall(frame('{"jsonrpc":"2.0","id":1,"method":"ping"}'))
    return b'"time_ms"' in sock.recv(4096)


@pytest.fixture
def many():
    """MANY, or as many as the system gives descriptors for; it says so then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(MANY, hard - SPARE)
    if hard - SPARE < MANY:
        print(f"the hard limit of open files is {hard}: {hard - SPARE} connections instead of {MANY}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("flavour", ["bin", "san/bin"])
def test_as_many_as_may_be(hub, many, root, flavour):
    s = hub(
        program=root / "build" / flavour / "pixi-ws-server",
        metrics__listen=["127.0.0.1:0"],
        limits__connections=many,
        limits__connections_per_address=many + 1000,
        keepalive__interval_ms=3600000,
    )
    crowd = Crowd(s)
    first = crowd.join(100)  # whatever is made once is made now
    before = metrics.samples(s)
    held = first + crowd.join(many - 100)
    assert all(head.startswith(b"HTTP/1.1 101 ") for _, head in held)
    now = metrics.samples(s)
    assert now['pixi_connections{state="open"}'] == many == now["pixi_connections_max"]
    each = (now["process_resident_memory_bytes"] - before["process_resident_memory_bytes"]) / (many - 100)
    print(f"{many} connections, {each:.0f} bytes each")
    assert now["pixi_queued_bytes"] == 0
    if flavour == "bin":  # sanitizers surround everything with more
        assert each <= CONN_BYTES

    refused = crowd.join(300)  # more at a time than get a connection of their own to be told
    for sock, head in refused:
        head, _, body = head.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 5\r\n" in head, head
        assert json.loads(body)["detail"] == "too many connections"
        sock.close()
    assert metrics.refused(s, "connections") == 300

    assert all(ping(sock) for sock, _ in held[:: max(1, many // 100)])
    for sock, _ in held[:10]:
        sock.close()
    again = []
    while len(again) < 10:  # until the server has seen their ends
        for sock, head in crowd.join(10 - len(again)):
            if head.startswith(b"HTTP/1.1 101 "):
                again.append(sock)
            else:
                sock.close()
    assert all(map(ping, again))
    for sock in [sock for sock, _ in held[10:]] + again:
        sock.close()
    while metrics.samples(s)['pixi_connections{state="open"}']:
        pass
    assert metrics.samples(s)["process_open_fds"] <= before["process_open_fds"] - 100
