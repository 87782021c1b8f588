"""``rollback_planner``, ``adjust_canary_split`` and ``deploy_planner``, which undo one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import FieldError
from incidents.actions.base import Action, Param, ParamsInvalid, Plan, Planner

_VERSION = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}"


def _rollback(params: Mapping[str, Any], planner: Planner | None) -> Plan:
    start, goal, immediate = params["from_version"], params.get("to_version"), params["immediate"]
    goal = goal or _last_stable(start, planner)
    resolved = {"from_version": start, "to_version": goal, "immediate": immediate}
    return Plan(
        message=f"Roll back the planner from {start} to {goal}",
        details=resolved,
        changes=(
            f"Will take the traffic from {start}" + (" at once" if immediate else " step by step"),
            f"Will make {goal} the stable version",
        ),
        duration=30 if immediate else 900,
        cost=0,
        requires_approval=immediate,
        operation="planner.rollback",
        arguments=resolved,
        resolved=resolved,
        compensation={"action_type": "deploy_planner", "params": {"version": start}, "to": start},
    )


def _last_stable(left: str, planner: Planner | None) -> str:
    """The stable version, or the one that was stable before where it is the stable one that is left."""
    assert planner is not None
    found = planner.previous if planner.stable == left else planner.stable
    if found is None:
        message = "Must be given: the planner knows no other stable version."
        raise ParamsInvalid(f"to_version: {message}", fields=[FieldError("to_version", message)])
    return found


def _rollback_done(resolved: Mapping[str, Any], output: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return f"Rolled back to {resolved['to_version']}", {**resolved, "percent": output["percent"]}


def _adjust(params: Mapping[str, Any], planner: Planner | None) -> Plan:
    assert planner is not None
    version, target, gradual = params["version"], params["target_percent"], params["gradual"]
    before = planner.percent_of(version)
    resolved = {"version": version, "previous_percent": before, "target_percent": target, "gradual": gradual}
    back = {"version": version, "target_percent": before, "gradual": gradual}
    return Plan(
        message=f"Adjust the canary split of {version} from {before} to {target} percent",
        details=resolved,
        changes=(f"Will send {target} percent of the traffic to {version} (now {before})",),
        duration=600 if gradual else 60,
        cost=0,
        requires_approval=target > before,
        operation="planner.split",
        arguments={"version": version, "percent": target, "gradual": gradual},
        resolved=resolved,
        compensation={"action_type": "adjust_canary_split", "params": back, "to": str(before)},
    )


def _adjust_done(resolved: Mapping[str, Any], output: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return f"Canary split of {resolved['version']} is {output['percent']} percent", dict(resolved)


def _deploy(params: Mapping[str, Any], planner: Planner | None) -> Plan:
    assert planner is not None
    version, percent = params["version"], params["canary_percent"]
    before = planner.previous if planner.stable == version else planner.stable
    resolved = {"version": version, "canary_percent": percent, "previous_version": before}
    back = {"from_version": version, "to_version": before}
    return Plan(
        message=f"Deploy planner {version} to {percent} percent",
        details=resolved,
        changes=(f"Will deploy {version} to {percent} percent of the traffic",),
        duration=900,
        cost=0,
        requires_approval=True,
        operation="planner.deploy",
        arguments={"version": version, "canary_percent": percent},
        resolved=resolved,
        compensation=None if before is None else {"action_type": "rollback_planner", "params": back, "to": before},
    )


def _deploy_done(resolved: Mapping[str, Any], output: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return f"Deployed planner {resolved['version']} to {output['percent']} percent", dict(resolved)


ROLLBACK_PLANNER = Action(
    action_type="rollback_planner",
    display_name="Rollback Planner",
    description="Take the traffic from a planner version and make another one stable",
    duration="15 minutes",
    cost="$0",
    params=(
        Param("from_version", "string", required=True, pattern=_VERSION),
        Param("to_version", "string", shown_default="last stable", pattern=_VERSION),
        Param("immediate", "boolean", default=False),
    ),
    plan=_rollback,
    done=_rollback_done,
    reads_planner=lambda params: "to_version" not in params,
)
ADJUST_CANARY_SPLIT = Action(
    action_type="adjust_canary_split",
    display_name="Adjust Canary Split",
    description="Send another share of the traffic to a planner version",
    duration="10 minutes",
    cost="$0",
    params=(
        Param("version", "string", required=True, pattern=_VERSION),
        Param("target_percent", "integer", required=True, least=0, most=100),
        Param("gradual", "boolean", default=True),
    ),
    plan=_adjust,
    done=_adjust_done,
    reads_planner=lambda _: True,
)
DEPLOY_PLANNER = Action(
    action_type="deploy_planner",
    display_name="Deploy Planner",
    description="Deploy a planner version to a share of the traffic",
    duration="15 minutes",
    cost="$0",
    params=(
        Param("version", "string", required=True, pattern=_VERSION),
        Param("canary_percent", "integer", default=10, least=0, most=100),
    ),
    plan=_deploy,
    done=_deploy_done,
    requires_approval=True,
    reads_planner=lambda _: True,
)
