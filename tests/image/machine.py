"""An image that QEMU has started."""

import json
import threading


class Machine:
    """A booted image. Its console is proc's output; its report port is a socket."""

    def __init__(self, proc, port):
        self.proc, self._port = proc, port
        self._lines, self._news, self._open = [], threading.Condition(), True
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        connection, _ = self._port.accept()
        self._connection = connection
        with connection, connection.makefile(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._open = False
            self._news.notify_all()

    def reported(self, name, timeout=60):
        """The first report of that name, as an object."""

        def found():
            return [line for line in self._lines if line.startswith(f'{{"report":"{name}"')]

        with self._news:
            self._news.wait_for(lambda: found() or not self._open, timeout)
            assert found(), f"no report {name}: {self._lines}\n{self.proc}"
            return json.loads(found()[0])

    def says(self, regex, timeout=60):
        return self.proc.wait_line(regex, timeout)
