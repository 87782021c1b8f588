"""Runs dbt as a program of its own: an argument list, never a shell; bounded output; ended when the call is."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
#: how much of the end of the output is kept
KEPT = 64 * 1024
#: how long a run that is ended may take to take its queries back; the call itself may close for 0.8 s
CLOSING = 0.5


@dataclass(frozen=True)
class Finished:
    """``output``: the end of standard output and standard error together, as they came."""

    exit_code: int
    output: str


async def run(argv: Sequence[str], *, directory: Path, environ: Mapping[str, str]) -> Finished:
    """Run to the end, or until this call is cancelled: then the whole group of processes is gone. Raises OSError."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(GUARD), *argv),
        cwd=directory,
        env=dict(environ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        output = await _end_of(process.stdout)
        return Finished(await process.wait(), output)
    finally:
        if process.returncode is None:
            await _end(process)


async def _end_of(stream: asyncio.StreamReader) -> str:
    kept = bytearray()
    while octets := await stream.read(65_536):
        kept += octets
        del kept[:-KEPT]
    return kept.decode("utf-8", "replace").replace("\x00", "\ufffd")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask once, then kill: dbt takes running queries back when it is interrupted."""
    _signal(process.pid, signal.SIGINT)
    try:
        async with asyncio.timeout(CLOSING):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        _signal(process.pid, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass
