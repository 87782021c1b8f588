"""What happens at the named places of `core.failpoints` in a process that a test started.

``name:kill``, ``name:stop`` or ``name:raise``, with ``:n`` behind it for the n-th time the place is reached. Each acts
once in the life of the processes that share one mark: a process that was started again goes on undisturbed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from core import failpoints


class Reached(Exception):
    """Raised at a failpoint."""


@dataclass
class Failpoint:
    """``mark``: the file that says it was reached; ``frozen``: how many seconds a stopped process sleeps, 0: until it
    is sent SIGCONT."""

    name: str
    action: str
    mark: Path
    nth: int = 1
    frozen: float = 1.5
    _times: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def read(cls, text: str, *, mark: Path, frozen: float = 1.5) -> Failpoint:
        """Read ``name:action[:nth]``."""
        name, action, *rest = text.split(":")
        assert action in ACTIONS, f"{action} is none of {', '.join(ACTIONS)}"
        return cls(name, action, mark, nth=int(rest[0]) if rest else 1, frozen=frozen)

    def __call__(self, name: str) -> None:
        if name != self.name:
            return
        with self._lock:
            self._times += 1
            if self._times != self.nth or not self._is_first():
                return
        ACTIONS[self.action](self)

    def _is_first(self) -> bool:
        try:
            self.mark.open("x").close()
        except FileExistsError:
            return False
        return True

    def kill(self) -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGKILL)

    def stop(self) -> None:
        wake = f"sleep {self.frozen}; kill -CONT {os.getpid()}"
        if self.frozen:
            subprocess.Popen(["sh", "-c", wake], start_new_session=True)
        # To this thread: sent to the process, another thread may take it, and this one goes on for a moment.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    def fail(self) -> None:
        raise Reached(self.name)


ACTIONS: dict[str, Callable[[Failpoint], None]] = {
    "kill": Failpoint.kill,
    "stop": Failpoint.stop,
    "raise": Failpoint.fail,
}


def install(failpoint: Failpoint) -> None:
    """Refused where the settings are not those of a development."""
    from django.conf import settings

    assert settings.SALLYPORT_DEVELOPMENT, "failpoints are for tests"
    failpoints.install(failpoint)
