"""A worker thread waits for a call on the loop thread, and can end it."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta

import pytest

from connectors import loop

LONG = timedelta(seconds=30)


def test_calls_of_several_threads_share_one_loop_thread() -> None:
    async def where() -> int:
        await asyncio.sleep(0)
        return threading.get_ident()

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(loop.run(where(), time_limit=LONG))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert len(set(found)) == 1
    assert threading.get_ident() not in found


def test_what_the_call_raises_is_raised_here() -> None:
    async def broken() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        loop.run(broken(), time_limit=LONG)


def test_a_time_limit_ends_the_call_and_lets_it_close() -> None:
    closed = threading.Event()

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            closed.set()

    began = time.monotonic()
    with pytest.raises(loop.OutOfTime):
        loop.run(slow(), time_limit=timedelta(milliseconds=100))

    assert closed.is_set()
    assert time.monotonic() - began < 20


def test_a_stop_signal_ends_the_call() -> None:
    stop, begun, closed = threading.Event(), threading.Event(), threading.Event()

    async def slow() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            closed.set()

    def stop_once_begun() -> None:
        begun.wait()
        stop.set()

    threading.Thread(target=stop_once_begun).start()
    with pytest.raises(loop.Stopped):
        loop.run(slow(), time_limit=LONG, stop=stop)

    assert closed.is_set()


def test_a_call_that_does_not_let_go_does_not_hold_its_worker() -> None:
    async def stubborn() -> None:
        for _ in range(3):
            try:
                await asyncio.sleep(2)
            except asyncio.CancelledError:
                continue

    began = time.monotonic()
    with pytest.raises(loop.OutOfTime):
        loop.run(stubborn(), time_limit=timedelta(milliseconds=50))

    assert time.monotonic() - began < 4


def test_a_result_that_was_there_before_the_stop_still_counts() -> None:
    stop = threading.Event()

    async def finishes_when_cancelled() -> str:
        stop.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "done"
        return "not stopped"

    assert loop.run(finishes_when_cancelled(), time_limit=LONG, stop=stop) == "done"
