"""`manage.py test`: pytest over the project, in place of this process.

Everything is tested in as many processes as there are cores, up to four; what is picked by arguments, in one, unless
they name a number themselves (``-n 2``).

Django is not set up here: the tests start their servers first and then let the settings find them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from config.home import ROOT
from config.processes import KEEP_BYTECODE

MOST_PROCESSES = 4  # each has a database of its own, and many tests start servers besides


def main(arguments: Sequence[str]) -> NoReturn:
    os.chdir(ROOT)
    if not arguments:
        arguments = ["-n", str(min(os.cpu_count() or 1, MOST_PROCESSES)), "--dist", "worksteal"]
    os.execve(sys.executable, [sys.executable, "-m", "pytest", *arguments], {**os.environ, **KEEP_BYTECODE})
