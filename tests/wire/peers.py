"""Peers to verify: a small correct Pixi server with one switch for every rule it can break, and worse.

Written from docs/protocol.md and RFC 6455 alone. One thread and one asyncio loop for each peer.
"""

import asyncio
import base64
import hashlib
import json
import socket
import struct
import threading
import time

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
EPOCH = "1b671a64-40d5"


class Peer:
    """Listens on a port of 127.0.0.1 while its `with` lasts; handle(reader, writer) is what it does."""

    def __init__(self):
        self.accepted = threading.Event()  # somebody has connected
        self.heads = []  # the requests' heads, as text

    async def handle(self, reader, writer):
        raise NotImplementedError

    async def _serve(self, reader, writer):
        self.accepted.set()
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self.handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/api/v1"
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    async def _stop(self):
        self._server.close()
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def read_head(self, reader):
        """The request line's path, and the fields with lower-case names."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        line, *fields = head[:-4].split("\r\n")
        pairs = (f.split(":", 1) for f in fields)
        return line.split(" ")[1], {k.lower(): v.strip() for k, v in pairs}


class Answer(Peer):
    """Says these bytes to whatever comes, then closes ("close"), waits ("wait"), or waits without reading a thing."""

    def __init__(self, answer, then="close", waits_for_request=True, pause_s=None):
        super().__init__()
        self.answer, self.then = answer, then
        self.waits_for_request, self.pause_s = waits_for_request, pause_s

    async def handle(self, reader, writer):
        if self.waits_for_request:
            await self.read_head(reader)
        if self.pause_s is None:
            writer.write(self.answer)
            await writer.drain()
        else:
            for i in range(len(self.answer)):
                writer.write(self.answer[i : i + 1])
                await asyncio.sleep(self.pause_s)
        if self.then == "wait":
            await reader.read()  # until the other end goes


def accept_of(nonce):
    return base64.b64encode(hashlib.sha1((nonce + GUID).encode()).digest()).decode()


def frame(opcode, payload=b"", first=None, mask=b""):
    """A frame; first: another first byte; mask: four bytes, which no server may use."""
    size = len(payload)
    head = bytes([0x80 | opcode if first is None else first])
    bit = 0x80 if mask else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += struct.pack("!BH", bit | 126, size)
    else:
        head += struct.pack("!BQ", bit | 127, size)
    if mask:
        payload = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
    return head + mask + payload


class Broken(Exception):
    """The client broke a rule: close with this code."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Done(Exception):
    """The connection is over in good order."""


def is_close_code(code):
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in (1004, 1005, 1006))


class WebSocketServer(Peer):
    """RFC 6455, the server's side. `breaks` names the one rule it breaks; None: none."""

    subprotocols = ()
    link = None  # what a connection is; None: Link

    def __init__(self, breaks=None, drip=False):
        super().__init__()
        self.breaks = breaks
        self.drip = drip
        self.has_seen_reset = False

    def is_strict(self, rule):
        return self.breaks != rule

    def refuse(self, fields):
        """The answer to a request that may not upgrade, or None."""
        return b"HTTP/1.1 503 Later\r\nRetry-After: 1\r\n\r\n" if self.has_seen_reset else None

    def upgrade(self, fields):
        accept = accept_of(fields["sec-websocket-key"])
        if self.breaks == "upgrade-accept":
            accept = accept_of("x")
        lines = ["HTTP/1.0 101 Yes" if self.breaks == "upgrade-version" else "HTTP/1.1 101 Switching Protocols"]
        lines += ["Connection: keep-alive, Upgrade", f"Sec-WebSocket-Accept: {accept}"]
        if self.is_strict("upgrade-field"):
            lines += ["Upgrade: WebSocket"]
        if self.breaks == "upgrade-extension":
            lines += ["Sec-WebSocket-Extensions: permessage-deflate"]
        offered = [p.strip() for p in fields.get("sec-websocket-protocol", "").split(",")]
        selected = next((p for p in offered if p in self.subprotocols), None)
        if self.breaks == "upgrade-subprotocol":
            selected = "chat"
        if selected:
            lines += [f"Sec-WebSocket-Protocol: {selected}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def handle(self, reader, writer):
        path, fields = await self.read_head(reader)
        no = self.refuse(fields)
        link = (self.link or Link)(self, reader, writer)
        if no:
            link.put(no)
            await writer.drain()
            return
        link.put(self.upgrade(fields))
        try:
            await self.talk(link)
        except Broken as e:
            await link.close(e.code)
        except Done:
            pass
        except ConnectionResetError:
            self.has_seen_reset = self.breaks == "reconnect"
        finally:
            self.forget(link)

    def forget(self, link):
        pass

    async def talk(self, link):
        await self.greet(link)
        while True:
            opcode, payload = await link.message()
            await self.on_message(link, opcode, payload)

    async def greet(self, link):
        pass

    async def on_message(self, link, opcode, payload):
        raise NotImplementedError


class Link:
    """One connection of a WebSocketServer: frames to messages, and back."""

    def __init__(self, server, reader, writer):
        self.server, self.reader, self.writer = server, reader, writer
        self.opcode, self.parts = None, b""

    def put(self, data):
        if self.server.drip:  # a system call for every byte, without Nagle's algorithm a segment too
            for i in range(len(data)):
                self.writer.write(data[i : i + 1])
        else:
            self.writer.write(data)

    def send(self, text, opcode=TEXT):
        self.put(frame(opcode, text if isinstance(text, bytes) else text.encode()))

    async def close(self, code):
        if self.server.breaks == "refuse-code":
            code = 1008
        if self.server.breaks == "refuse-silent":
            return
        if self.server.breaks == "refuse-hang":
            await self.reader.read()
        self.put(frame(CLOSE, struct.pack("!H", code)))
        await self.writer.drain()

    def may_compress(self, opcode):
        """Whether RSV1 may stand on a frame of this opcode."""
        return not self.server.is_strict("deflate-unasked")

    async def frame(self):
        strict = self.server.is_strict
        first, second = await self.reader.readexactly(2)
        opcode, size = first & 15, second & 127
        if first & 0x30 and strict("reserved-bit") or first & 0x40 and not self.may_compress(opcode):
            raise Broken(1002)
        if 3 <= opcode <= 7 and strict("opcode") or opcode > 10 and strict("opcode-control"):
            raise Broken(1002)
        if opcode >= 8 and not first & 0x80 and strict("ping-fragmented"):
            raise Broken(1002)
        if not second & 0x80 and strict("unmasked"):
            raise Broken(1002)
        if opcode >= 8 and size > 125 and strict("ping-long"):
            raise Broken(1002)
        if size >= 126:
            form, least = ("!H", 126) if size == 126 else ("!Q", 65536)
            size = struct.unpack(form, await self.reader.readexactly(struct.calcsize(form)))[0]
            if size < least and strict("length"):
                raise Broken(1002)
        mask = await self.reader.readexactly(4) if second & 0x80 else bytes(4)
        payload = await self.reader.readexactly(size)
        return first, opcode, bytes(b ^ mask[i % 4] for i, b in enumerate(payload))

    async def message(self):
        """The next whole message: opcode and bytes."""
        strict = self.server.is_strict
        while True:
            first, opcode, payload = await self.frame()
            if opcode >= 8:
                await self.control(opcode, payload)
                continue
            if 3 <= opcode <= 7:
                continue
            if opcode == CONTINUATION and self.opcode is None:
                if strict("continuation"):
                    raise Broken(1002)
                continue
            if opcode != CONTINUATION:
                if self.opcode is not None and strict("start-inside"):
                    raise Broken(1002)
                self.opcode, self.parts = opcode, b""
            self.parts = self.parts + payload if strict("fragments") else payload
            if not first & 0x80:
                continue
            opcode, self.opcode = self.opcode, None
            if opcode == TEXT and strict("text-utf8"):
                self.check_utf8(self.parts)
            return opcode, self.parts

    @staticmethod
    def check_utf8(data):
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            raise Broken(1007) from None

    async def control(self, opcode, payload):
        breaks = self.server.breaks
        if opcode == PING:
            if breaks == "ping-between" and self.opcode is not None or breaks == "ping-silent":
                return
            self.put(frame(PONG, b"pong" if breaks == "ping" else payload[:125]))
        elif opcode == CLOSE:
            await self.on_close(payload)

    async def on_close(self, payload):
        strict, breaks = self.server.is_strict, self.server.breaks
        code = 1005
        if len(payload) == 1:
            if not strict("close-short"):
                return
            raise Broken(1002)
        if payload:
            (code,) = struct.unpack("!H", payload[:2])
            if not is_close_code(code):
                if not strict("close-code"):
                    return
                raise Broken(1002)
            if not strict("close-utf8") and payload[2:] and payload[2] > 127:
                return
            self.check_utf8(payload[2:])
        if breaks == "close-silent" and payload[2:]:
            await self.reader.read()
        if breaks != "close-none" or not payload[2:]:
            self.put(frame(CLOSE, struct.pack("!H", 1001 if breaks == "close-other" else 1000)))
            await self.writer.drain()
        if breaks == "close-open" and payload[2:]:
            await self.reader.read()
        raise Done


class EchoServer(WebSocketServer):
    """Sends back what it gets."""

    async def on_message(self, link, opcode, payload):
        if self.breaks == "echo-binary" and opcode == BINARY:
            raise Broken(1003)
        link.put(frame(opcode, payload, mask=b"abcd" if self.breaks == "echo-text" else b""))


class SelectingEcho(EchoServer):
    """An echo that selects whatever subprotocol is offered, as node's ws does."""

    subprotocols = ("pixi.v1",)


class QuietServer(WebSocketServer):
    """A WebSocket server of another kind: greets, and answers nothing."""

    async def greet(self, link):
        link.send("hello")

    async def on_message(self, link, opcode, payload):
        pass


def members(text):
    """An object's members as source text: payloads travel as they were written."""
    decoder, out = json.JSONDecoder(), {}

    def skip(i):
        while text[i] in " \t\r\n":
            i += 1
        return i

    i = skip(skip(0) + 1)
    while text[i] != "}":
        name, i = decoder.raw_decode(text, i)
        start = skip(skip(i) + 1)
        _, i = decoder.raw_decode(text, start)
        out[name] = text[start:i]
        i = skip(i)
        if text[i] == ",":
            i = skip(i + 1)
    return out


class Error(Exception):
    def __init__(self, code, message="no"):
        super().__init__(code, message)
        self.code, self.message = code, message


class PixiServer(WebSocketServer):
    """pixi.v1 with one key, one log in memory, and filters that are topics."""

    subprotocols = ("pixi.v1",)

    def __init__(self, breaks=None, key=None, drip=False):
        super().__init__(breaks, drip)
        self.key = key
        self.links = {}  # link: {filter}
        self.log = []  # (topic, the message's members as source)
        self.requests = {}  # id: (link, call id)
        self.held = None

    def refuse(self, fields):
        sent = fields.get("authorization", "").removeprefix("Bearer ")
        if self.breaks == "key-missing" and not sent or self.breaks == "key-wrong" and sent:
            return super().refuse(fields)
        if self.key and sent != self.key:
            if self.breaks == "key-status" and not sent:
                return b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
            challenge = "" if self.breaks == "key-challenge" and not sent else "WWW-Authenticate: Bearer\r\n"
            return f"HTTP/1.1 401 Unauthorized\r\n{challenge}Content-Length: 0\r\n\r\n".encode()
        return super().refuse(fields)

    async def greet(self, link):
        self.links[link] = set()
        if self.breaks == "key":
            raise Broken(3000)

    def forget(self, link):
        self.links.pop(link, None)

    async def on_message(self, link, opcode, payload):
        try:
            call = members(payload.decode())
        except (ValueError, IndexError, UnicodeDecodeError):
            self.answer(link, "null", error=Error(-32700))
            return
        if "method" not in call:
            self.answer(link, "null", error=Error(-32600))
            return
        method = getattr(self, "on_" + json.loads(call["method"]), None)
        params = members(call.get("params", "{}"))
        try:
            if not method:
                raise Error(-32601)
            result = method(link, call["id"], params)
        except Error as e:
            self.answer(link, call["id"], error=e)
            return
        if result is not None:
            self.answer(link, call["id"], json.dumps(result))

    def answer(self, link, call_id, result=None, error=None):
        if self.breaks == "answer-silent":
            return
        if error:
            body = '"error":' + json.dumps({"code": error.code, "message": error.message})
        else:
            body = '"result":' + result
        if self.breaks == "answer-version":
            link.send(f'{{"id":{call_id},{body}}}')
        elif self.breaks == "answer-json":
            link.send(f'{{"jsonrpc":"2.0","id":{call_id},{body},}}')
        else:
            link.send(f'{{"jsonrpc":"2.0","id":{call_id},{body}}}')

    def notify(self, link, method, params):
        body = ",".join(f'"{k}":{v}' for k, v in params.items())
        link.send(f'{{"jsonrpc":"2.0","method":"{method}","params":{{{body}}}}}')

    # ---- methods: (link, call id as source, params as source) to a result, or None when it comes later ----

    def on_ping(self, link, call_id, params):
        return {"time": 1} if self.breaks == "ping-call" else {"time_ms": int(time.time() * 1000)}

    def on_info(self, link, call_id, params):
        return {"name": "peer"} if self.breaks == "info" else {"name": "peer", "version": "1.0"}

    def on_subscribe(self, link, call_id, params):
        topic = json.loads(params["filter"])
        if self.breaks == "subscribe-forbidden" and topic.startswith("event/"):
            raise Error(-32001, "not for this key")
        since = json.loads(params["since"]) if "since" in params else None
        is_recovered = since is not None and since["epoch"] == EPOCH and since["offset"] <= len(self.log)
        if self.breaks == "resume-beyond" and since:
            is_recovered = True
        if self.breaks == "resume-never":
            is_recovered = False
        self.links[link].add(topic)
        self.answer(
            link, call_id, json.dumps({"epoch": EPOCH, "offset": len(self.log), "recovered": is_recovered})
        )
        if is_recovered:
            missed = [m for t, m in self.log[since["offset"] :] if t == topic]
            if self.breaks == "resume-loses":
                missed = missed[1:]
            if self.breaks == "resume-repeats":
                missed = missed[:1] + missed
            for message in missed:
                self.notify(link, "message", {"filter": params["filter"], **message})
        else:
            self.notify(link, "synced", {"filter": params["filter"]})
        return None

    def on_unsubscribe(self, link, call_id, params):
        if self.is_strict("unsubscribe"):
            self.links[link].discard(json.loads(params["filter"]))
        return {}

    def on_publish(self, link, call_id, params):
        topic = json.loads(params["topic"])
        message = {k: params[k] for k in ("topic", "payload", "payload_base64") if k in params}
        if self.breaks == "publish-forbidden":
            raise Error(-32001, "not for this key")
        if self.breaks == "publish-changed" and "payload" in message:
            message["payload"] = json.dumps(json.loads(message["payload"]))
        if self.breaks == "publish-binary" and "payload_base64" in message:
            message["payload_base64"] = '"AAEC"'
        message["time_ms"] = str(int(time.time() * 1000))
        if self.is_strict("no-history"):
            message.update(epoch=json.dumps(EPOCH), offset=str(len(self.log) + 1))
        self.log.append((topic, message))
        self.deliver(topic, message)
        return {} if self.breaks == "no-history" else {"epoch": EPOCH, "offset": len(self.log)}

    def deliver(self, topic, message):
        if self.breaks == "publish-order":  # every second one waits for the next
            if self.held is None:
                self.held = (topic, message)
                return
            (topic_held, held), self.held = self.held, None
            self.fan_out(topic, message)
            self.fan_out(topic_held, held)
            return
        if self.breaks == "publish-loses" and len(self.log) % 5 == 0:
            return
        self.fan_out(topic, message)
        if self.breaks == "publish-twice" and len(self.log) % 20 == 0:
            self.fan_out(topic, message)

    def fan_out(self, topic, message):
        for link, filters in self.links.items():
            if topic in filters:
                matched = "#" if self.breaks == "publish-filter" else topic
                self.notify(link, "message", {"filter": json.dumps(matched), **message})

    def on_request(self, link, call_id, params):
        topic = json.loads(params["topic"])
        responder = next((x for x, filters in self.links.items() if topic in filters), None)
        if self.breaks == "request-lost" and responder:
            return None
        if responder is None and self.breaks == "request-nobody":
            return {"payload": None}
        if responder is None and self.breaks == "request-nobody-silent":
            return None
        if responder is None and self.breaks == "request-nobody-code":
            raise Error(-32603)
        if responder is None or self.breaks == "request-refused":
            raise Error(-32004, "no responder")
        name = f"r{len(self.requests)}"
        self.requests[name] = (link, call_id)
        message = {"filter": params["topic"], "topic": params["topic"], "payload": params["payload"]}
        message |= {"time_ms": "0", "request": json.dumps(name)}
        if self.breaks == "request-anonymous":
            del message["request"]
        self.notify(responder, "message", message)
        return None

    def on_reply(self, link, call_id, params):
        requester, asked = self.requests.pop(json.loads(params["request"]))
        payload = params["payload"]
        if self.breaks == "request-changed":
            payload = json.dumps(json.loads(payload))
        if self.is_strict("request-swallowed"):
            self.answer(requester, asked, f'{{"payload":{payload}}}')
        return {}
