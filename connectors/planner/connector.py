"""``planner.*``: each change states the end it wants, so a lost answer is found by reading what is the case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.base import Command, Outcome, ProbeAnswer, completed
from connectors.planner.client import Versions, change, versions


class PlannerConnector:
    async def run(self, command: Command) -> Outcome:
        if command.operation == "planner.versions":
            return await _listed(command)
        changed = await change(command, *_request(command.operation, command.arguments))
        return changed if isinstance(changed, Outcome) else _changed(*changed)

    async def probe(self, command: Command) -> tuple[ProbeAnswer, Outcome | None]:
        """Whether the planner is where this call wanted it, or on the way there."""
        found = await versions(command)
        if isinstance(found, Outcome):
            return ProbeAnswer.CANNOT_TELL, None
        version = _wanted(command.operation, command.arguments, found)
        if version is None:
            return ProbeAnswer.NOT_THERE, None
        return ProbeAnswer.THERE, _changed(version, found.targets[version])


async def _listed(command: Command) -> Outcome:
    found = await versions(command)
    if isinstance(found, Outcome):
        return found
    return completed({"stable": found.stable, "previous": found.previous, "percents": dict(found.percents)})


def _request(operation: str, given: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any]]:
    match operation:
        case "planner.deploy":
            return "POST", "/deployments", {name: given[name] for name in ("version", "canary_percent")}
        case "planner.rollback":
            body = {name: given[name] for name in ("from_version", "to_version")}
            return "POST", "/rollbacks", {**body, "immediate": bool(given.get("immediate", False))}
        case _:
            body = {"percent": given["percent"], "gradual": bool(given.get("gradual", True))}
            return "PUT", f"/versions/{given['version']}/canary", body


def _wanted(operation: str, given: Mapping[str, Any], found: Versions) -> str | None:
    """The version that stands for the change, if it has taken place."""
    match operation:
        case "planner.deploy":
            return _at(found, given["version"], given["canary_percent"])
        case "planner.rollback":
            is_left = found.targets.get(given["from_version"], 0) == 0
            is_back = found.stable == given["to_version"] and given["to_version"] in found.targets
            return given["to_version"] if is_left and is_back else None
        case _:
            return _at(found, given["version"], given["percent"])


def _at(found: Versions, version: str, percent: int) -> str | None:
    return version if found.targets.get(version) == percent else None


def _changed(version: str, percent: int) -> Outcome:
    return completed({"version": version, "percent": percent})
