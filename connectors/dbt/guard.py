"""Runs the program given on the command line and ends it when standard input ends: when the worker is gone.

A worker that is killed cannot end what it started, and two runs of one step must not overlap. Standard library only:
it runs with ``-I -S``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

#: seconds for the program to take its queries back before it is killed
PATIENCE = 2.0


def main() -> int:
    # Handlers, not SIG_IGN: the program would inherit that.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_the_worker, args=(program,), daemon=True).start()
    code = program.wait()
    return code if code >= 0 else 128 - code


def _end_with_the_worker(program: subprocess.Popen[bytes]) -> None:
    # Not sys.stdin: a thread that waits inside its buffer holds a lock that the interpreter wants as it ends.
    while os.read(0, 4096):
        pass
    program.send_signal(signal.SIGINT)
    try:
        program.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
