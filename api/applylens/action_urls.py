"""The paths of remediation actions."""

from __future__ import annotations

from typing import Final

from api.routing import View

ACTIONS: Final[dict[str, View]] = {}
