"""A TCP proxy that cuts connections at random places: by a reset, an orderly end, or silence; that delays them, and that lets
a connection which is over for its client arrive after the next."""

import asyncio
import contextlib
import random
import socket
import struct
import threading

HOWS = ("reset", "end", "silence")
NO_LINGER = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards a port of 127.0.0.1 to a server's while its `with` lasts. Nothing is cut before cut_at_random."""

    def __init__(self, server):
        self.target = (server.host, server.port)
        self.cuts = []  # how, in order
        self.random = None
        self.most_bytes = 0
        self.is_holding = False  # new connections get nowhere
        self.piece, self.delay_s = None, 0  # bytes that are passed on at a time; how late
        self.wants = 0
        self.news = threading.Condition()

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        port = self.server.sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/api/v1"
        self.tasks = {}  # the task of a connection: its writers
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self._do(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    async def _stop(self):
        self.server.close()
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cut_at_random(self, seed, most_bytes, cuts):
        """From now on each connection carries 1 .. most_bytes and is then cut, until so many were."""
        self._do(self._begin(seed, most_bytes, cuts))

    async def _begin(self, seed, most_bytes, cuts):
        self.random, self.most_bytes, self.wants = random.Random(seed), most_bytes, cuts
        for connection in self.tasks.values():
            connection.left = self.random.randint(1, most_bytes)

    def cut(self, how, then_hold=False):
        """All there are, now; then_hold: whoever connects anew waits for let_go."""

        async def cut():
            self.is_holding = then_hold
            for connection in list(self.tasks.values()):
                connection.cut(how)

        self._do(cut())

    def hold_back(self):
        """What clients of the connections there are say from now on does not arrive."""

        async def hold_back():
            for connection in self.tasks.values():
                connection.held = []

        self._do(hold_back())

    def let_late_go(self):
        """It arrives, of connections that were cut since, and then their end. How many bytes, when the server has taken them."""

        async def let_late_go():
            late = {task: connection for task, connection in self.tasks.items() if connection.held is not None}
            for connection in late.values():
                connection.may_arrive.set()
            await asyncio.wait(late, timeout=20)
            assert not set(late) & set(self.tasks)
            return sum(len(data) for connection in late.values() for data in connection.held)

        return self._do(let_late_go())

    def let_go(self):
        async def let_go():
            self.is_holding = False
            for connection in list(self.tasks.values()):
                connection.may_go.set()

        self._do(let_go())

    def wait_cuts(self, count, timeout=40):
        with self.news:
            assert self.news.wait_for(lambda: len(self.cuts) >= count, timeout), f"{len(self.cuts)} cuts"

    def carried(self, connection, is_from_client, data):
        """For those who want to look."""

    async def _serve(self, reader, writer):
        connection = Connection(self, reader, writer)
        self.tasks[asyncio.current_task()] = connection
        try:
            with contextlib.suppress(OSError):
                await connection.run()
        finally:
            del self.tasks[asyncio.current_task()]


class Connection:
    def __init__(self, proxy, reader, writer):
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.may_go = asyncio.Event()
        if not proxy.is_holding:
            self.may_go.set()
        self.held, self.may_arrive = None, asyncio.Event()  # what is held back, in pieces
        self.left = None  # bytes it may still carry
        self.is_silent = False
        if proxy.random:
            self.left = proxy.random.randint(1, proxy.most_bytes)
        self.peer = None

    async def run(self):
        await self.may_go.wait()
        reader, self.peer = await asyncio.open_connection(*self.proxy.target)
        try:
            await asyncio.gather(self.carry(self.reader, self.peer), self.carry(reader, self.writer))
        finally:
            for writer in (self.peer, self.writer):
                writer.close()

    async def carry(self, reader, writer):
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := await reader.read(65536):
            if self.is_silent or writer.is_closing():
                continue
            self.proxy.carried(self, reader is self.reader, data)
            if self.held is not None and reader is self.reader:
                self.held.append(data)
                continue
            if self.left is not None and len(data) >= self.left and len(self.proxy.cuts) < self.proxy.wants:
                data = data[: self.left]
                writer.write(data)
                self.cut(self.proxy.random.choice(HOWS))
                continue
            if self.left is not None:
                self.left -= len(data)
            await self.pass_on(writer, data)
        if self.held is not None and reader is self.reader:
            await self.may_arrive.wait()
            writer.write(b"".join(self.held))
        if not self.is_silent and not writer.is_closing():
            writer.write_eof()

    async def pass_on(self, writer, data):
        if self.proxy.delay_s:
            await asyncio.sleep(self.proxy.delay_s)
        size = self.proxy.piece or len(data)
        for at in range(0, len(data), size):
            writer.write(data[at : at + size])
            await writer.drain()
            if self.proxy.piece:
                await asyncio.sleep(0)  # so that each leaves by itself

    def cut(self, how):
        if how == "silence":
            self.is_silent = True
        else:
            for writer in (self.writer, self.peer if self.held is None else None):
                if writer and how == "reset":
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                    writer.transport.abort()
                elif writer:
                    writer.close()
        with self.proxy.news:
            self.proxy.cuts.append(how)
            self.proxy.news.notify_all()
