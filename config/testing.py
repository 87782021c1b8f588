"""`manage.py test`: pytest over the project, in place of this process.

Django is not set up here: the tests start their servers first and then let the settings find them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from config.home import ROOT
from config.processes import bytecode_in


def run(arguments: Sequence[str]) -> NoReturn:
    os.chdir(ROOT)
    environ = {**os.environ, **bytecode_in(Path(sys.prefix) / "bytecode")}
    os.execve(sys.executable, [sys.executable, "-m", "pytest", *arguments], environ)
