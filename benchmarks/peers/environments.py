"""An environment for each peer, below ``var/peers``: their requirements clash with ours and with each other's."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from config import bootstrap

SECONDS = 900


class NotInstalled(Exception):
    """Why."""


def environment(directory: Path, requirements: Sequence[str]) -> Path:
    """Return the Python of an environment that has ``requirements``, made at its first use. Raises NotInstalled."""
    python = directory / "bin" / "python"
    digest = hashlib.sha256(" ".join((sys.version, *requirements)).encode()).hexdigest()
    made = directory / ".installed"
    if made.exists() and made.read_text() == digest:
        return python
    directory.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(directory)])
    try:
        installer = bootstrap._installer(sys.executable, str(python))
    except SystemExit as error:
        raise NotInstalled(str(error)) from None
    _run([*installer, *requirements])
    made.write_text(digest)
    return python


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{Path(command[0]).name}: {error}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NotInstalled(next((line for line in reversed(said) if "rror" in line), "the installer failed")[:300])
