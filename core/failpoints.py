"""Named places where a test may stop the world. In production nothing is installed and a place costs one call."""

from __future__ import annotations

from collections.abc import Callable

_install: Callable[[str], None] | None = None


def reach(name: str) -> None:
    if _install is not None:
        _install(name)


def install(action: Callable[[str], None] | None) -> None:
    """Set what happens at failpoints; None removes it. Only tests call this."""
    global _install
    _install = action
