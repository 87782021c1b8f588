"""Puts what was measured into a page, between ``<!-- figures: NAME -->`` and ``<!-- end of NAME -->``.

The command, the time, the machine and the commit stand beside it. No figure is typed by hand.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path

from config.home import ROOT


class NoPlace(Exception):
    """The page has no place of that name."""


def fill(page: Path, name: str, text: str, *, command: str) -> None:
    """Replace what stands in the page's place ``name``. Raises NoPlace."""
    begin, end = f"<!-- figures: {name} -->", f"<!-- end of {name} -->"
    old = page.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(old):
        raise NoPlace(f"{page} has no place for {name}: {begin} and {end}")
    new = f"{begin}\n`{command}`; {_where()}\n\n{text.strip()}\n{end}"
    page.write_text(pattern.sub(lambda _: new, old), encoding="utf-8")


def _where() -> str:
    at = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    return f"{at} UTC, {machine}, commit {_commit()}."


def _commit() -> str:
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError:
        return "unknown"
    return said.stdout.strip() or "unknown"
