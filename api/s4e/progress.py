"""What this family says of an execution and its steps, in its own status words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from api.s4e import ids
from api.s4e.dialect.compiling import REJECTED, is_made
from api.s4e.dialect.shapes import delay_id, is_asked, type_of
from api.s4e.outputs import time
from executions.engine.apart import Damaged, whole
from executions.models import Execution, StepRun
from executions.selectors import list_step_runs, result_of
from manual.models import ManualRequest
from manual.selectors import votes_of
from playbooks.cacao.types import Step, StepType, Workflow
from playbooks.selectors import workflow_by_id

#: step run -> S4E (contracts/README.md, "One execution, several faces"); cancelled is decided by whether it ran
STATUSES: Final = {
    "pending": "pending",
    "running": "running",
    "retrying": "running",
    "waiting": "waiting",
    "uncertain": "waiting",
    "completed": "completed",
    "failed": "failed",
    "timed_out": "failed",
    "skipped": "skipped",
}
#: every execution is accepted in this state (E1); a worker may have taken it up before the answer is read
ACCEPTED: Final = "pending"
MOVING: Final = ("running", "waiting")
MESSAGES: Final = {
    "timed_out": "The time for it was over.",
    "cancelled": "It was stopped while it ran.",
    "rejected": "It was rejected.",
}


@dataclass(frozen=True)
class Row:
    """One line of the steps answer: a visit to a step, or a step that was not visited."""

    step_id: str
    name: str
    type: str
    status: str
    place: int  # in the definition
    started_at: datetime | None = None
    completed_at: datetime | None = None
    output: Any = None  # an Apart where it is stored apart
    error: dict[str, str] | None = None
    is_opener: bool = False

    def shown(self) -> dict[str, Any]:
        """Return the line; here a large output is read, which lists of executions never need."""
        try:
            output, error = whole(self.output), self.error
        except Damaged as damage:
            output, error = None, _error(damage.reason, str(damage))
        shown = {
            "step_id": self.step_id,
            "step_name": self.name,
            "type": self.type,
            "status": self.status,
            "output": output,
            "started_at": time(self.started_at),
            "completed_at": time(self.completed_at),
        }
        return {**shown, "error": error} if error else shown


class Progress:
    """An execution read once, for either answer."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.workflow: Workflow = workflow_by_id(execution.version_id)

    def execution_shown(self) -> dict[str, Any]:
        execution = self.execution
        started, ended = time(execution.created_at), time(execution.ended_at)
        shown: dict[str, Any] = {
            "execution_id": ids.execution_id(execution.number),
            "playbook_id": ids.playbook_id(execution.playbook),
            "playbook_name": execution.playbook.name,
            "status": execution.status,
            "current_step": self.current_step,
            "steps_completed": self.steps_completed,
            "steps_total": self.steps_total,
            "started_at": started,
            "completed_at": ended,
            "duration_seconds": _seconds_between(execution.created_at, execution.ended_at),
        }
        if execution.status == "failed":
            shown["error"] = self._error()
        if execution.options.get("dry_run"):
            shown["dry_run"] = True
        return shown

    def steps_shown(self) -> list[dict[str, Any]]:
        return [row.shown() for row in self.rows]

    @property
    def current_step(self) -> str | None:
        """The first running or waiting step by definition order; between two steps, the one that is next."""
        if self.execution.is_final or self.execution.status == "pending":
            return None
        moving = [row for row in self.rows if row.status in MOVING]
        next_ones = [row for row in self._started_or_due if row.status == "pending"]
        plain = [row for row in moving if not row.is_opener]
        first = min(plain or next_ones or moving, key=lambda row: row.place, default=None)
        return first.step_id if first else None

    @property
    def steps_total(self) -> int:
        return len(self._definition)

    @property
    def steps_completed(self) -> int:
        """Those that ended completed; in a completed run the skipped and the failed-but-continued ones too."""
        if self.execution.status == "completed":
            return self.steps_total
        return len({row.step_id for row in self.rows if row.status == "completed"})

    @cached_property
    def rows(self) -> list[Row]:
        """What ran in the order of its start, then the rest in the order of the definition."""
        started = [row for row in self._started_or_due if row.started_at is not None]
        due = {row.step_id: row for row in self._started_or_due if row.started_at is None}
        seen = {row.step_id for row in started}
        rest = [
            due.get(step_id) or self._unvisited(step_id, place)
            for place, step_id in enumerate(self._definition)
            if step_id not in seen
        ]
        return [*started, *rest]

    @cached_property
    def _definition(self) -> dict[str, tuple[str, str]]:
        """Shown step id -> (name, type), in definition order: start and end steps are none, delays are steps."""
        shown = {}
        for step in self.workflow.steps.values():
            if step.delay:
                shown[delay_id(step.id)] = (f"Delay before {step.name or step.id}", "delay")
            if step.type not in (StepType.START, StepType.END):
                shown[step.id] = (step.name or step.id, type_of(step))
        return shown

    @cached_property
    def _places(self) -> dict[str, int]:
        return {step_id: place for place, step_id in enumerate(self._definition)}

    @cached_property
    def _started_or_due(self) -> list[Row]:
        found = []
        for run in self._runs:
            step = self.workflow.steps.get(run.step_id)
            if step is not None:
                found += list(self._visit(run, step))
        return sorted(
            found, key=lambda row: row.started_at or datetime.max.replace(tzinfo=self.execution.created_at.tzinfo)
        )

    @cached_property
    def _runs(self) -> list[StepRun]:
        return list(list_step_runs(self.execution))

    def _visit(self, run: StepRun, step: Step) -> Iterator[Row]:
        if step.delay:  # a run of a delay step notes its wait in `delay` too
            yield self._delay(run, step)
        if run.step_id in self._definition:
            yield self._row(run, step)

    def _row(self, run: StepRun, step: Step) -> Row:
        status, error = _status_of(run, step)
        name, type_ = self._definition[step.id]
        started = _started_at(run) if status not in ("pending", "skipped") else None
        decided = step.type == StepType.IF and status == "completed"
        return Row(
            step_id=step.id,
            name=name,
            type=type_,
            status=status,
            place=self._places[step.id],
            started_at=started,
            completed_at=started if decided else run.ended_at if started else None,
            output=_output(run, step) if status == "completed" else None,
            error=error,
            is_opener=step.is_opener,
        )

    def _delay(self, run: StepRun, step: Step) -> Row:
        """A step's own delay, shown as a step: it waits until the step that it belongs to is started."""
        step_id = delay_id(step.id)
        waits = run.status == "pending" and run.started_at is None
        over = run.started_at or (run.ended_at if run.status != "cancelled" else None)
        status = "waiting" if waits else "completed" if over else "skipped"
        name, type_ = self._definition[step_id]
        place = self._places[step_id]
        if status == "skipped":
            return Row(step_id, name, type_, status, place)
        return Row(step_id, name, type_, status, place, started_at=run.created_at, completed_at=over)

    def _unvisited(self, step_id: str, place: int) -> Row:
        name, type_ = self._definition[step_id]
        return Row(step_id, name, type_, "skipped" if self.execution.is_final else "pending", place)

    def _error(self) -> dict[str, str]:
        """The reason of the run; where that is only "a branch failed", the reason of what failed in it."""
        code, message = self.execution.reason, self.execution.message
        if code in ("", "branch_failed"):
            root = next((row for row in self.rows if row.error and not row.is_opener), None)
            if root is not None and root.error is not None:
                return {"code": root.error["code"], "message": f"{root.step_id}: {root.error['message']}"}
        return _error(code, message)


def _status_of(run: StepRun, step: Step) -> tuple[str, dict[str, str] | None]:
    if run.status == "cancelled":
        ran = run.started_at is not None or run.kind in ("request", "timer")
        return ("failed", _error("cancelled", "")) if ran else ("skipped", None)
    if step.is_opener and _is_decided(run, step):
        return "completed", None
    if step.is_opener and run.status == "waiting" and run.kind == "opener":
        return "running", None
    if run.reason == REJECTED and REJECTED in step.on_failure_reasons:
        return "completed", None
    status = STATUSES[run.status]
    if status != "failed":
        return status, None
    return status, _error("timed_out" if run.status == "timed_out" else run.reason, run.message)


def _is_decided(run: StepRun, step: Step) -> bool:
    """A condition has done its part when it has chosen a path, whatever becomes of that."""
    return step.type == StepType.IF and bool(run.verdict) and "verdict" in (run.verdict or {})


def _started_at(run: StepRun) -> datetime:
    return run.started_at or run.created_at


def _output(run: StepRun, step: Step) -> Any:
    if step.type == StepType.IF and run.verdict:
        return {"result": run.verdict.get("verdict")}
    output = result_of(run).get("output")
    if output is None and is_asked(step) and run.actor:
        decision = "rejected" if run.reason == REJECTED else "approved"
        return {"decision": decision, "decided_by": run.actor}
    return output


def _error(code: str, message: str) -> dict[str, str]:
    return {"code": code or "failed", "message": message or MESSAGES.get(code, "The step failed.")}


def _seconds_between(start: datetime, end: datetime | None) -> int | None:
    """Whole seconds between the times as they are shown."""
    if end is None:
        return None
    return int((end.replace(microsecond=0) - start.replace(microsecond=0)).total_seconds())


def started(execution: Execution) -> dict[str, Any]:
    """The answer to a start, and word for word to the same start again: what was so when it was accepted."""
    return {
        "execution_id": ids.execution_id(execution.number),
        "playbook_id": ids.playbook_id(execution.playbook),
        "status": ACCEPTED,
        "started_at": time(execution.created_at),
        "stream": f"/ws/executions/{ids.execution_id(execution.number)}",
    }


def decision(execution: Execution, step_id: str, request: ManualRequest) -> dict[str, Any]:
    """What became of a request; where several votes are needed also how many there are, ``pending`` until enough."""
    decided = {"success": "approved", "failure": "rejected"}[request.answer["status"]] if request.answer else "pending"
    shown: dict[str, Any] = {
        "execution_id": ids.execution_id(execution.number),
        "step_id": step_id,
        "decision": decided,
        "decided_by": request.answered_by or None,
        "decided_at": time(request.answered_at),
    }
    if request.votes_needed == 1 and request.noes_needed == 1:
        return shown
    cast = votes_of(request)
    yes = sum(vote.approves for vote in cast)
    return {**shown, "votes": {"approved": yes, "rejected": len(cast) - yes, "needed": request.votes_needed}}


def is_shown(workflow: Workflow, step_id: str) -> bool:
    """Whether a step is one that this family shows under its own id."""
    step = workflow.steps.get(step_id)
    return step is not None and not is_made(step_id) and step.type not in (StepType.START, StepType.END)
