"""What a measurement costs: processor time and memory of whole trees of processes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import TracebackType

import psutil

LOOK_EVERY = 0.5  # seconds between two looks at the memory
MIB = 2**20


class Meter:
    """Measures a block: ``seconds`` on the clock, ``cpu`` seconds of the trees under ``roots`` and of this process,
    ``memory`` their peak in MiB, where pages that several share count once.
    """

    def __init__(self, roots: Iterable[int]) -> None:
        self._roots = [*roots, os.getpid()]
        self._stop = threading.Event()
        self.seconds = self.cpu = self.memory = 0.0

    def __enter__(self) -> Meter:
        self._cpu_before = self._cpu()
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.seconds = time.perf_counter() - self._began
        self.cpu = self._cpu() - self._cpu_before
        self._stop.set()
        self._watching.join()

    def _cpu(self) -> float:
        used = 0.0
        for process in self._processes():
            with suppress(psutil.Error):
                times = process.cpu_times()
                # What ended meanwhile is counted by its parent.
                used += times.user + times.system + times.children_user + times.children_system
        return used

    def _watch(self) -> None:
        while True:
            self.memory = max(self.memory, sum(map(_memory, self._processes())))
            if self._stop.wait(LOOK_EVERY):
                return

    def _processes(self) -> Iterator[psutil.Process]:
        seen: set[int] = set()
        for root in self._roots:
            with suppress(psutil.Error):
                process = psutil.Process(root)
                # This process started the others; they are measured only where they are named.
                tree = [process] if root == os.getpid() else [process, *process.children(recursive=True)]
                for found in tree:
                    if found.pid not in seen:
                        seen.add(found.pid)
                        yield found


def _memory(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        found = process.memory_full_info()
        return float(getattr(found, "pss", found.rss)) / MIB
    return 0.0
