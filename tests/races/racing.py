"""Threads that do something at the same moment, each on a connection of its own, with real commits."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from typing import Any

from django.db import connection

#: rounds in CI; a race that was won in all of them by the same side goes on until the other wins, at most this often
ROUNDS, AT_MOST = 50, 400

Act = Callable[[], Any]


class Racers:
    """``count`` threads; they live for the whole test, so that only the race itself takes time."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._barrier = threading.Barrier(count)
        self._pool = ThreadPoolExecutor(count)

    def run(self, acts: Sequence[Act]) -> list[Any]:
        """Do all acts at once; return what each gave, an exception as a value."""
        assert len(acts) == self.count
        return [future.result() for future in [self._pool.submit(self._one, act) for act in acts]]

    def all_at_once(self, act: Act) -> list[Any]:
        return self.run([act] * self.count)

    def _one(self, act: Act) -> Any:
        connection.ensure_connection()
        self._barrier.wait(20)
        try:
            return act()
        except Exception as error:
            return error

    def close(self) -> None:
        self.all_at_once(lambda: connection.close())  # each thread's own
        self._pool.shutdown()


@contextmanager
def racers(count: int) -> Iterator[Racers]:
    found = Racers(count)
    try:
        yield found
    finally:
        found.close()


def until_both_win(play: Callable[[int], str], *sides: str) -> Counter[str]:
    """Play rounds until each side has won one, ROUNDS at least; ``play`` gets the round and says who won it."""
    won: Counter[str] = Counter()
    for number in range(AT_MOST):
        won[play(number)] += 1
        if number + 1 >= ROUNDS and all(won[side] for side in sides):
            break
    assert set(won) <= set(sides), won
    assert all(won[side] for side in sides), f"one side never won, so nothing is proven: {won}"
    return won


def staggered(number: int, first: Act, second: Act) -> list[Act]:
    """Both acts, in every round another one of them up to 12 ms later, so that both orders are met on any machine."""
    late = Random(number).random() * 0.012
    return [_after(late, first), second] if number % 2 else [first, _after(late, second)]


def _after(seconds: float, act: Act) -> Act:
    def later() -> Any:
        time.sleep(seconds)
        return act()

    return later
