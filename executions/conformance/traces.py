"""Plays the scenarios of trace files through workers, and compares what was visited and left behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from accounts.models import Tenant
from core.actors import SYSTEM
from core.errors import DomainError
from executions.conformance.files import read
from executions.conformance.verdicts import Verdict, differences
from executions.importing import import_playbook
from executions.models import Execution, Scope, StepRun
from executions.selectors import final_variables
from executions.services import StartRefused, start_execution
from playbooks.models import PlaybookVersion


@dataclass
class Played:
    """A scenario that was started, or was refused."""

    subject: str
    expected: dict[str, Any]
    execution: Execution | None = None
    refused: str = ""
    problem: str = ""


def start_all(path: Path, name: str, *, tenant: Tenant) -> list[Played]:
    """Import the playbook of a trace and start all its scenarios."""
    trace = read(path)
    now = datetime.fromisoformat(trace["now"])
    subjects = [f"{name}: {scenario['name']}" for scenario in trace["scenarios"]]
    try:
        for other in trace.get("library", []):
            _import(tenant, path.parent / other, trace["import_level"], now)
        version = _import(tenant, path.parent / trace["playbook"], trace["import_level"], now)
    except (DomainError, OSError) as error:
        return [Played(subject, {}, problem=f"not imported: {error}") for subject in subjects]
    pairs = zip(subjects, trace["scenarios"], strict=True)
    return [_start(tenant, version, subject, scenario, now) for subject, scenario in pairs]


def _import(tenant: Tenant, path: Path, level: str, now: datetime) -> PlaybookVersion:
    octets = path.read_bytes()
    return import_playbook(tenant=tenant, octets=octets, mode="version", actor=SYSTEM, now=now, level=level)[0]


def _start(tenant: Tenant, version: PlaybookVersion, subject: str, scenario: dict[str, Any], now: datetime) -> Played:
    script = {
        "steps": scenario.get("script", {}),
        "decisions": scenario.get("decisions", {}),
        "children": scenario.get("children", {}),
        "now": now.isoformat(),
    }
    played = Played(subject, scenario["expected"])
    try:
        played.execution = start_execution(
            tenant=tenant,
            version=version,
            inputs={"variables": scenario.get("initial_variables", {})},
            options={**scenario.get("options", {}), "script": script},
            actor=SYSTEM,
            now=now,
        )
    except StartRefused as error:
        played.refused = error.code
    return played


def judge(played: Played) -> Verdict:
    """Compare a scenario that has ended, was refused, or did not end in time."""
    if played.problem:
        return Verdict("trace", played.subject, (played.problem,))
    if played.execution is None:
        found: dict[str, Any] = {"status": "refused", "reason": played.refused, "visited": []}
        return Verdict("trace", played.subject, differences(played.expected, found))
    played.execution.refresh_from_db()
    if not played.execution.is_final:
        return Verdict("trace", played.subject, (f"did not end: it is {played.execution.status}",))
    expected = {"waits": [], **played.expected}
    return Verdict("trace", played.subject, differences(expected, found_in(played.execution)))


def found_in(execution: Execution) -> dict[str, Any]:
    """Return what a trace describes, read from the rows of an execution."""
    story = Story(execution)
    return {
        "status": execution.status,
        "reason": execution.reason,
        "visited": [*story.visited(""), *story.visited("exception")],
        "failed_steps": [*story.failures(""), *story.failures("exception")],
        "exception_handled": execution.exception_handled,
        "final_variables": final_variables(execution),
        "waits": story.waits(),
    }


class Story:
    """The step runs of an execution, told scope by scope."""

    def __init__(self, execution: Execution) -> None:
        self.runs: dict[str, list[StepRun]] = {}
        for run in StepRun.objects.filter(execution=execution).exclude(status="skipped").order_by("position"):
            self.runs.setdefault(run.scope_path, []).append(run)
        self.scopes: dict[tuple[str, str], list[Scope]] = {}
        for scope in Scope.objects.filter(execution=execution).select_related("parent").order_by("position"):
            if scope.parent is not None:
                self.scopes.setdefault((scope.parent.path, scope.opener_step), []).append(scope)

    def _below(self, run: StepRun) -> list[Scope]:
        return self.scopes.get((run.scope_path, run.step_id), [])

    def visited(self, path: str) -> list[Any]:
        told: list[Any] = []
        for run in self.runs.get(path, []):
            told.append(run.step_id)
            below = [self.visited(scope.path) for scope in self._below(run)]
            if run.step_type == "parallel":
                told.append({"branches": below})
            else:
                told.extend(step for branch in below for step in branch)
            told.extend(_child(run))
        return told

    def failures(self, path: str) -> Iterable[dict[str, str]]:
        for run in self.runs.get(path, []):
            for scope in self._below(run):
                yield from self.failures(scope.path)
            if run.status in ("failed", "timed_out"):
                yield {"step": run.step_id, "reason": run.reason}

    def waits(self) -> list[dict[str, Any]]:
        runs = sorted((run for runs in self.runs.values() for run in runs), key=lambda run: run.position)
        return [{"step": run.step_id, "ms": run.delay // timedelta(milliseconds=1)} for run in runs if run.delay]


def _child(run: StepRun) -> list[dict[str, Any]]:
    if run.step_type != "playbook-action":
        return []
    child = Execution.objects.select_related("playbook").filter(parent_step_run=run).first()
    if child is None:
        return []
    found = found_in(child)
    return [{"playbook": child.playbook.cacao_id, "visited": found["visited"], "status": child.status}]
