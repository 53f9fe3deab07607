"""A program on a terminal of its own, 80 columns wide."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

TIMEOUT_S = 20
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]")


class Terminal:
    def __init__(self, args, env, cwd, columns=80):
        self.fd, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

        def take():
            os.setsid()
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        env = {"TERM": "xterm", **env}
        self.proc = subprocess.Popen(args, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=cwd, preexec_fn=take)
        os.close(theirs)
        self.said = ""
        self._rest = b""

    def write(self, text):
        os.write(self.fd, text.encode())

    def _read(self, deadline):
        """False at the end."""
        ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"nothing more within {TIMEOUT_S} s: {self.said!r}"
        try:
            more = os.read(self.fd, 65536)
        except OSError:  # EIO: nobody has it open any more
            return False
        self._rest += more
        text = self._rest.decode("utf-8", "ignore")
        if text.encode() == self._rest:
            self.said += text
            self._rest = b""
        return bool(more)

    def wait(self, regex, start=0):
        """Reads on until this is found behind start; the match."""
        deadline = time.monotonic() + TIMEOUT_S
        while not (found := re.compile(regex).search(self.said, start)):
            assert self._read(deadline), f"no {regex!r} in {self.said!r}"
        return found

    def end(self):
        """Reads to the end; the exit code."""
        deadline = time.monotonic() + TIMEOUT_S
        while self._read(deadline):
            pass
        return self.proc.wait(TIMEOUT_S)

    def lines(self):
        """What stands there in the end: what was erased is gone, without colours."""
        out = []
        for line in self.said.split("\n"):
            line = line.rstrip("\r")
            line = line[line.rfind("\r\x1b[K") + 4 :] if "\r\x1b[K" in line else line
            out.append(ESCAPE.sub("", line))
        return out

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.proc.pid, signal.SIGKILL)
        self.proc.wait()
        os.close(self.fd)
