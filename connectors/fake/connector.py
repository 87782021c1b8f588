"""The connector that reaches nothing: it completes, or plays a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.base import Command, Outcome, OutcomeKind, completed, failed


class FakeConnector:
    """``run`` gives back the argument ``output``, or the outcome of the command's script."""

    async def run(self, command: Command) -> Outcome:
        return outcome_of(command)


def outcome_of(command: Command) -> Outcome:
    """Return the outcome at once; needs no loop, as nothing is waited for."""
    if command.script is not None:
        return scripted(command.script)
    return completed(command.arguments.get("output"), sent=False)


def scripted(script: Mapping[str, Any]) -> Outcome:
    """Return the outcome that one entry of a trace's script describes.

    ``{"result": "success", "output"?: text, "answers"?: {name: value}}``, ``{"result": "failure"}`` (an output
    beside it is dropped) or ``{"result": "timeout"}`` (no outcome before the step's deadline).
    Raises ValueError for another result.
    """
    match script.get("result"):
        case "success":
            return completed(script.get("output"), answers=script.get("answers"))
        case "failure":
            return failed("command_failed", "The script says that it fails.", sent=True, retry=False)
        case "timeout":
            return Outcome(OutcomeKind.EXPIRED, code="timed_out", message="The script gives no outcome in time.")
        case other:
            raise ValueError(f"A scripted result is success, failure or timeout, not {other!r}.")
