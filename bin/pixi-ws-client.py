#!/usr/bin/env python3
"""pixi-ws-client.py [--settings FILE] [--listen FILTER]... [TOPIC [MESSAGE...]]

Connects as the settings say, sends each MESSAGE, or each line of standard input, to TOPIC, and prints every message that
comes, until Ctrl-C, SIGTERM, or the server's close. Ends with the exit codes of pixi-ws-client (docs/exit-codes.md)."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Optional

tree = Path(__file__).resolve().parent.parent
if (tree / "bindings/python/pixi_ws").is_dir():  # not installed: as make leaves it
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(tree / "bindings/python"))
    os.environ.setdefault("PIXI_WS_LIBRARY", str(tree / "build/lib/libpixiws.so.0"))
import pixi_ws  # noqa: E402

# What a program can do about each family of errors; here, say it.
FAMILIES = {
    pixi_ws.Settings: "the settings are wrong",
    pixi_ws.NameUnknown: "the server's name is unknown",
    pixi_ws.CannotConnect: "the server cannot be reached",
    pixi_ws.TLS: "the server is not trusted",
    pixi_ws.Upgrade: "that is no Pixi server",
    pixi_ws.Key: "the API key does not do",
    pixi_ws.Protocol: "the protocol was broken",
    pixi_ws.Timeout: "time is up",
    pixi_ws.Closed: "the connection is closed",
    pixi_ws.NoResponder: "nobody answers there",
    pixi_ws.Full: "the queue is full",
    pixi_ws.Lost: "the connection is lost, connecting again",
    pixi_ws.TooLarge: "the message is too large",
    pixi_ws.Usage: "that cannot be asked for",
    pixi_ws.Failed: "the server could not do it",
    pixi_ws.Internal: "something is used up here",
}


def say(e: pixi_ws.Error) -> None:
    print(FAMILIES.get(type(e), "something else is wrong"), e, sep="\n", file=sys.stderr, flush=True)


class Sender(threading.Thread):
    """Sends, while the main thread receives. What stops it is raised by answer."""

    def __init__(self, client: pixi_ws.Client, topic: str, messages: list[str]) -> None:
        super().__init__(daemon=True)
        self.client, self.topic, self.messages = client, topic, messages
        self.error: Optional[pixi_ws.Error] = None

    def run(self) -> None:
        try:
            for message in self.messages:
                self.client.send_message(self.topic, message)
            if not self.messages:
                for line in open(0, "rb", closefd=False):
                    self.client.send_message(self.topic, line.rstrip(b"\r\n"))
        except pixi_ws.Closed:
            pass  # the main thread hears of it, too
        except pixi_ws.Error as e:
            self.error = e
            signal.raise_signal(signal.SIGTERM)


def receive(client: pixi_ws.Client) -> None:
    while True:
        try:
            message = client.recv()
        except pixi_ws.Closed as e:
            if not e.is_well:
                raise
            return
        except pixi_ws.Error as e:
            if not isinstance(e, pixi_ws.Lost) and client.state != pixi_ws.State.OPEN:
                raise
            say(e)  # and go on
        else:
            sys.stdout.buffer.write(message.topic.encode() + b" " + message.payload + b"\n")
            sys.stdout.buffer.flush()


def run(args: argparse.Namespace) -> None:
    sender = None
    try:
        client = pixi_ws.Client(args.settings)
        for filter in args.listen:
            client.subscribe(filter)
        with client:
            print("connected with result code 0", file=sys.stderr, flush=True)
            if args.topic is not None:
                sender = Sender(client, args.topic, args.message)
                sender.start()
            receive(client)
    except KeyboardInterrupt:
        if sender and sender.error:
            raise sender.error from None


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-s", "--settings", metavar="FILE", help="settings file")
    parser.add_argument("-l", "--listen", metavar="FILTER", action="append", default=[], help="print these messages")
    parser.add_argument("topic", metavar="TOPIC", nargs="?", help="where to send to")
    parser.add_argument("message", metavar="MESSAGE", nargs="*", help="what; without: the lines of standard input")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        run(args)
    except pixi_ws.Error as e:
        print(f"ended with result code {e.rc}", file=sys.stderr)
        say(e)
        return int(e.rc)
    except BrokenPipeError:  # whoever read it has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
