"""`manage.py test`: pytest over the project, in place of this process.

Django is not set up here: the tests start their servers first and then let the settings find them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from config.home import ROOT
from config.processes import KEEP_BYTECODE


def main(arguments: Sequence[str]) -> NoReturn:
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "-m", "pytest", *arguments], {**os.environ, **KEEP_BYTECODE})
