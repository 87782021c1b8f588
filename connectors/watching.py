"""Who is told of the actions of toolkits, and may hold them back. The setting names it; connectors know no more."""

from __future__ import annotations

from functools import cache
from typing import Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string

from connectors.base import OperationSpec, Outcome
from connectors.planning import Call, PlannedCall


class Watcher(Protocol):
    """Called in the worker, outside of any transaction. None of these raises."""

    def begins(self, call: PlannedCall, *, fence: int) -> str:
        """A try begins. Return why it may not be made, "" where it may."""
        ...

    def ended(self, call: PlannedCall, outcome: Outcome, *, fence: int) -> None:
        """A try ended; the outcome is scrubbed."""
        ...

    def missing(self, call: Call, spec: OperationSpec, message: str) -> None:
        """There is no connection to make the call with."""
        ...


@cache
def watcher() -> Watcher:
    return cast(Watcher, import_string(settings.SALLYPORT_TOOLKIT_WATCHER)())
