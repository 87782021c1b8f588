"""Shows on a terminal how far a long step is; elsewhere prints plain lines.

Standard library only and parsable by old Pythons: the bootstrap uses it before anything is installed.
"""

import sys
import threading
import time
from typing import IO

WIDTH = 28


class Bar:
    """A line such as ``installing [########----] 40/83 celery``, redrawn in place.

    ``total`` None means that the length is unknown: only the seconds are counted. Use as a context manager.
    """

    def __init__(self, label: str, total: "int | None" = None, stream: "IO[str] | None" = None) -> None:
        self.label, self.total, self.done, self.note = label, total, 0, ""
        self.stream = stream or sys.stdout
        self.lively = self.stream.isatty()
        self.started = time.time()
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Bar":
        if self.lively:
            self._ticker.start()
        else:
            self._write(self.label + " ...\n")
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        if self.lively:
            self._ticker.join()
            self._write("\r\033[K")
        if failure[0] is None:
            self._write("%s: done in %.1f s\n" % (self.label, time.time() - self.started))

    def advance(self, done: "int | None" = None, note: str = "") -> None:
        """Count one more, or set the count."""
        self.done = self.done + 1 if done is None else done
        self.note = note

    def line(self) -> str:
        """Return what is shown now."""
        seconds = "%.0f s" % (time.time() - self.started)
        if not self.total:
            return "%s %s %s" % (self.label, seconds, self.note)
        share = min(self.done, self.total) / float(self.total)
        full = int(share * WIDTH)
        bar = "#" * full + "-" * (WIDTH - full)
        return "%s [%s] %d/%d %s %s" % (self.label, bar, min(self.done, self.total), self.total, seconds, self.note)

    def _tick(self) -> None:
        while not self._stop.wait(0.1):
            self._write("\r\033[K" + self.line()[:110])

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
