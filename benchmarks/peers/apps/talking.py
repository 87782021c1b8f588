"""How a peer's process is told what to run: a line on stdin, and a line back when it is done. Standard library only."""

import os
import sys


def answer(sequences, parallel=None):
    """Serve until stdin ends. ``sequences(count, steps)`` and ``parallel(branches)`` return when all has ended."""
    # What libraries print goes to the log, not among the answers.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    acts = {"sequences": sequences, "parallel": parallel}
    print("ready", file=out, flush=True)
    for line in sys.stdin:
        word, *numbers = line.split()
        act = acts[word]
        if act is None:
            print("not of it", file=out, flush=True)
            continue
        act(*map(int, numbers))
        print("done", file=out, flush=True)
