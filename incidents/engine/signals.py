"""What a detector saw, and the incident it means: key, severity, details, suggestions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from incidents.engine.finding import LONGEST_KEY, LONGEST_SUMMARY, Finding
from incidents.engine.reading import Fields

TYPES: Final = ("invariant", "budget", "planner")
LONGEST_ID: Final = 120
LONGEST_MESSAGE: Final = 2_000
LONGEST_SOURCE: Final = 100

INVARIANT: Final[Mapping[str, str]] = MappingProxyType(
    {"critical": "sev1", "high": "sev2", "medium": "sev3", "low": "sev4"}
)
BUDGET: Final[Mapping[str, str]] = MappingProxyType({"critical": "sev1", "error": "sev2", "warning": "sev3"})


def read_signal(value: Any, *, source: str, now: datetime) -> Finding:
    """Return what a signal means; ``source`` where it names none. Raises Invalid with every fault of ``value``."""
    fields = Fields(value)
    kind = fields.choice("type", TYPES)
    fields.stop_if_faulty()  # what else belongs to it depends on the type
    read = {"invariant": _invariant, "budget": _budget, "planner": _planner}[kind]
    named = fields.text("source", longest=LONGEST_SOURCE, default=source)
    return read(fields, named, now)


def suggestions(budget_type: str, agent: str) -> tuple[str, ...]:
    """Return what to try against a budget that is overrun, the first first."""
    agent = agent.lower()
    is_data = "dbt" in agent
    found: list[str] = []
    match budget_type:
        case "quality":
            found = ["rerun_eval", *(["rerun_dbt"] if is_data or "warehouse" in agent else [])]
        case "latency":
            is_search = "elastic" in agent or "knowledge" in agent
            found = ["clear_cache", *(["refresh_synonyms"] if is_search else [])]
        case "cost":
            found = ["rerun_eval", "adjust_canary_split"]
        case "success_rate":
            found = ["rerun_eval", *(["rerun_dbt"] if is_data else [])]
    return (*found, *_for_planners(agent))


def _for_planners(agent: str) -> tuple[str, ...]:
    return ("rollback_planner",) if "planner" in agent.lower() else ()


def _invariant(fields: Fields, source: str, _: datetime) -> Finding:
    named = fields.text("id", longest=LONGEST_ID)
    priority = fields.text("priority", longest=LONGEST_SOURCE)
    agent = fields.text("agent", longest=LONGEST_ID, default=None)
    threshold, actual = fields.number("threshold", default=None), fields.number("actual", default=None)
    message = fields.text("failure_message", longest=LONGEST_MESSAGE, default=None)
    context = fields.mapping("context")
    fields.end()
    return Finding(
        kind="invariant",
        key=f"INV_{named}",
        severity=INVARIANT.get(priority, "sev3"),
        summary=_cut(message or f"Invariant {named} does not hold" + (f" for {agent}" if agent else "")),
        details={"invariant": {"id": named, "threshold": threshold, "actual": actual}}
        | ({"context": context} if context else {}),
        playbooks=("rerun_eval", "rerun_dbt", *_for_planners(agent or "")),
        metadata=_metadata(source, agent),
    )


def _budget(fields: Fields, source: str, now: datetime) -> Finding:
    agent = fields.text("agent", longest=LONGEST_ID)
    budget_type = fields.text("budget_type", longest=LONGEST_ID)
    threshold, actual = fields.number("threshold"), fields.number("actual")
    severity = fields.choice("severity", tuple(BUDGET))
    message = fields.text("message", longest=LONGEST_MESSAGE, default=None)
    context = fields.mapping("context")
    key = f"BUDGET_{agent}_{budget_type}"
    if len(key) > LONGEST_KEY:
        fields.fault("budget_type", "It and the agent are too long together.")
    fields.end()
    overage = actual - threshold
    violation = {
        "agent": agent,
        "budget_type": budget_type,
        "threshold": threshold,
        "actual": actual,
        "severity": severity,
        "message": message or f"{budget_type} of {agent} is {actual}, {threshold} is allowed",
        "date": now.date().isoformat(),
    }
    return Finding(
        kind="budget",
        key=key,
        severity=BUDGET[severity],
        summary=_cut(violation["message"]),
        details={
            "violation": violation,
            "budget": {"agent": agent, "description": None, "enabled": True},
            "overage": overage,
            "overage_pct": _percent(overage, threshold),
            "context": context,
        },
        playbooks=suggestions(budget_type, agent),
        metadata=_metadata(source, agent) | {"budget_type": budget_type},
    )


def _planner(fields: Fields, source: str, _: datetime) -> Finding:
    version = fields.text("version", longest=LONGEST_KEY - len("PLANNER_REG_"))
    metric = fields.text("metric", longest=LONGEST_ID)
    current, baseline = fields.number("current"), fields.number("baseline")
    may_go_back = fields.flag("rollback_available", default=False)
    context = fields.mapping("context")
    fields.end()
    return Finding(
        kind="planner",
        key=f"PLANNER_REG_{version}",
        severity="sev1" if metric == "accuracy" else "sev2",
        summary=_cut(f"Planner {version}: {metric} is {current}, it was {baseline}"),
        details={
            "version": version,
            "regression": {"metric": metric, "current": current, "baseline": baseline},
            "metrics": {"current": {metric: current}, "baseline": {metric: baseline}},
            "rollback_available": may_go_back,
            "context": context,
        },
        playbooks=("rollback_planner",),
        metadata=_metadata(source, None) | {"version": version},
    )


def _metadata(source: str, agent: str | None) -> dict[str, Any]:
    return {"auto_created": True, "source": source} | ({"agent": agent} if agent else {})


def _percent(overage: float, threshold: float) -> float | None:
    """Return the overage in percent; None where the budget is nothing, or next to nothing."""
    if threshold == 0:
        return None
    share = 100 * overage / threshold
    return share if math.isfinite(share) else None


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SUMMARY else text[: LONGEST_SUMMARY - 1] + "\N{HORIZONTAL ELLIPSIS}"
