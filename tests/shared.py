"""Where the specification's own test data lies, when the project stands beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared_json(name: str) -> Any:
    """Return the parsed file ``name`` of that folder, or skip the test that asks."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the project")
    return json.loads(path.read_bytes())
