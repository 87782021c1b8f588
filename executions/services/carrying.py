"""Takes up a step and carries on, a statement each: claim; record, and open and claim what follows, or end.

It is the usual case of ``claiming`` and ``recording``: a step completes, nobody asks the execution to stop or to pause,
no switch or cap is over the tenant, and what follows needs no fact but those that the step itself has read. Whether
that is so is asked inside the statement, of the rows it locks; where it is not, nothing is written and those two take
their way, which knows every case. So nothing that stands there needs to stand here.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from connectors.base import OutcomeKind
from core import failpoints
from executions import carry, deadlines, events, payloads, phases
from executions.engine import decide
from executions.engine.apart import Damaged
from executions.engine.decisions import Decision, Ended, Kind, Moved, Opened, Result, ScopeChanged
from executions.engine.facts import ScopeFact, ScopeStatus
from executions.engine.outputs import OutputInvalid
from executions.engine.statuses import ExecutionStatus, StepStatus
from executions.facts import KnownFacts, NotKnown, StoredFacts
from executions.payloads import TooLarge
from executions.performed import Performed
from executions.rows import StepRunRow, scope_fact, scope_id, step_run_id
from executions.rules import rules_of
from executions.services.claiming import Work, claim_step
from executions.services.outputs import result_of, written_and_noted
from executions.stored_json import brief, storable, write_json
from playbooks.cacao.types import StepType
from playbooks.selectors import workflow_by_id

#: an event: type, step run, data
_Told = tuple[str, UUID | None, dict[str, Any]]


class _NotUsual(Exception):
    """The case is one for the usual way."""


@dataclass(frozen=True)
class Carried:
    """``work``: what follows, claimed; None where the execution has ended."""

    work: Work | None


@dataclass
class _Following:
    """What the engine decided, sorted by what it writes. Raises _NotUsual."""

    passed: list[Opened] = field(default_factory=list)
    changed: list[ScopeFact] = field(default_factory=list)
    opened: Opened | None = None
    is_over: bool = False

    @classmethod
    def of(cls, decisions: Sequence[Decision]) -> Self:
        found = cls()
        for decision in decisions:
            match decision:
                case ScopeChanged():
                    found.changed.append(decision.scope)
                case _ if found.opened or found.is_over:
                    raise _NotUsual
                case Opened(status=StepStatus.COMPLETED, kind=Kind.CONTROL):
                    found.passed.append(decision)
                case Opened(status=StepStatus.PENDING, kind=Kind.ACT | Kind.CHILD) if not decision.delay:
                    found.opened = decision
                case Ended(status=ExecutionStatus.COMPLETED):
                    found.is_over = True
                case _:
                    raise _NotUsual
        return found

    @property
    def what(self) -> str:
        if self.opened is not None:
            return carry.OPENED
        return carry.ENDED if self.is_over else carry.TAKEN


def take_up(step_run_id: UUID, *, worker: str) -> Work | None:
    """Claim a due step run; None when somebody else has it, or it is not due, held, stopping or gated."""
    asked_at = time.monotonic()
    seen = carry.look(step_run_id)
    if seen is None or not seen.is_due:
        return None
    work = _claimed(seen, worker=worker, asked_at=asked_at) if _is_usual(seen) else None
    return work or claim_step(step_run_id=step_run_id, worker=worker)


def _is_usual(seen: carry.Seen) -> bool:
    execution = seen.execution
    return (
        execution.status in ("pending", "running")
        and execution.held_at is None
        and not execution.stop_as
        and seen.is_plain
        and seen.run.status == "pending"
    )


def _claimed(seen: carry.Seen, *, worker: str, asked_at: float) -> Work | None:
    run, execution, fence = seen.run, seen.execution, seen.run.fence + 1
    told: list[_Told] = [] if execution.started_at else [("execution.started", None, {})]
    told.append(("step.claimed", run.id, {"step": run.step_id, "scope": run.scope_path, "attempt": fence}))
    args = {
        "execution": execution.id,
        "tenant": execution.tenant_id,
        "status": execution.status,
        "run": run.id,
        "fence": run.fence,
        "worker": worker,
        "lease": settings.SALLYPORT_LEASE,
        **_events(told),
    }
    row = carry.claim(args)
    if row is None:
        return None
    now, last_seq, made = row
    execution = replace(
        execution,
        now=now,
        status="running",
        started_at=execution.started_at or now,
        last_seq=last_seq + len(told),
        step_runs_made=made,
    )
    transaction.on_commit(lambda: events.announce(execution.id, execution.tenant_id), robust=True)
    facts = StoredFacts.with_scopes(execution, [seen.scope])
    if seen.scope.parent is not None:
        facts.load_chain(run.scope_id)
    run = replace(run, status="running", fence=fence)
    return Work(execution, run, workflow_by_id(execution.version_id), facts, worker, asked_at)


def _events(told: Sequence[_Told]) -> dict[str, Any]:
    return {"events": write_json([(type_, run and str(run), data) for type_, run, data in told]), "seqs": len(told)}


def carry_on(work: Work, performed: Performed, *, beside: Sequence[UUID] = ()) -> Carried | None:
    """Record a completed step and go on to what follows, in one statement that is its own commit.

    ``beside``: what the nudge of this worker names besides, to be gone on with where a branch ends.

    None: nothing is written, and the case is one for the usual way.
    """
    if not _may_be_usual(work, performed):
        return None
    try:
        known = KnownFacts.of(work.facts)
        came_to, values = _came_to(work, performed)
        following = _Following.of(_decisions(work, known, values))
        args = _arguments(work, performed, following, known, beside) | came_to
    except (_NotUsual, NotKnown, OutputInvalid, TooLarge, Damaged):
        return None
    asked_at = time.monotonic()
    try:
        row = carry.record(
            following.what,
            args,
            passes=bool(following.passed),
            changes=bool(following.changed),
            named="beside" in args,
        )
    except IntegrityError:
        return None  # what opens is there already
    if row is None:
        return None
    transaction.on_commit(lambda: failpoints.reach("after_record_commit"))  # nobody has been told yet
    transaction.on_commit(lambda: events.announce(work.execution.id, work.execution.tenant_id), robust=True)
    return Carried(_next(work, following, row, args, known, asked_at))


def _may_be_usual(work: Work, performed: Performed) -> bool:
    return (
        performed.outcome.kind == OutcomeKind.COMPLETED
        and (work.run.kind == Kind.ACT or work.step.type == StepType.START)
        and work.execution.script is None
        and work.step.question is None
        and not work.step.is_opener
        and performed.to_approve is None
        and performed.probed is None
        and not performed.frees_place
        and phases.is_last(work.step, work.run.note)
    )


def _came_to(work: Work, performed: Performed) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """What the row of the step run keeps, and the variables that it writes.

    Raises OutputInvalid, Damaged, NotKnown, TooLarge, _NotUsual.
    """
    if work.run.kind == Kind.CONTROL:
        return {"effect": "none", "result": None, "note": "{}", "tries": 0}, {}
    values, note = written_and_noted(work, performed)
    kept = {
        "effect": performed.effect,
        "result": _in_row(work, result_of(performed.outcome)),
        "note": _in_row(work, note, depth=2),
        "tries": 1,
    }
    return kept, values


def _decisions(work: Work, known: KnownFacts, values: Mapping[str, Any]) -> Sequence[Decision]:
    run, rules, made = work.run, rules_of(work.execution), work.execution.step_runs_made
    if run.kind == Kind.CONTROL:
        moved, *others = decide.go_on(work.workflow, known, rules, step=run.step_id, scope=run.scope_path, made=made)
        if not isinstance(moved, Moved) or moved.to != StepStatus.COMPLETED:
            raise _NotUsual
        return others
    result = Result(StepStatus.COMPLETED, values=values)
    return decide.after(work.workflow, known, rules, step=run.step_id, scope=run.scope_path, result=result, made=made)


def _arguments(
    work: Work, performed: Performed, following: _Following, known: KnownFacts, beside: Sequence[UUID]
) -> dict[str, Any]:
    """The values of the statement. Raises _NotUsual, TooLarge."""
    run, rules = work.run, rules_of(work.execution)
    told = _told(run, following)
    args: dict[str, Any] = {
        "execution": work.execution.id,
        "tenant": work.execution.tenant_id,
        "run": run.id,
        "fence": run.fence,
        "message": brief(performed.outcome.message),
        "code": storable(performed.outcome.code)[:64],
        "calls": write_json(list(performed.calls)),
        "made": len(following.passed) + (following.opened is not None),
        "most": rules.step_run_limit,
        **_events(told),
    }
    if following.passed:
        args |= _passed(work, following.passed)
    if following.changed:
        args |= _changed(work, following.changed)
    if following.opened is not None:
        args |= _opened(work, following.opened)
    elif not following.is_over:
        args |= _taking(work, following, known, beside)
        args |= {"told": len(told), "seqs": len(told) + 1}
    return args


def _in_row(work: Work, document: Mapping[str, Any], *, depth: int = 1) -> str:
    packed = payloads.pack(work.execution.id, document, depth=depth)
    if packed.contents:
        raise _NotUsual
    return packed.text


def _told(run: StepRunRow, following: _Following) -> list[_Told]:
    """The events in the order of what they tell."""
    data: dict[str, Any] = {"step": run.step_id, "scope": run.scope_path}
    if run.kind != Kind.CONTROL:
        data["attempt"] = run.fence
    told: list[_Told] = [("step.completed", run.id, data)]
    for passed in following.passed:
        run_id = step_run_id(run.execution_id, passed.scope, passed.step)
        told.append(("step.completed", run_id, {"step": passed.step, "scope": passed.scope}))
    if following.opened is not None:
        data = {"step": following.opened.step, "scope": following.opened.scope}
        run_id = step_run_id(run.execution_id, following.opened.scope, following.opened.step)
        told += [("step.pending", run_id, data), ("step.claimed", run_id, data | {"attempt": 1})]
    elif following.is_over:
        told.append(("execution.completed", None, {}))
    return told


def _passed(work: Work, passed: Sequence[Opened]) -> dict[str, Any]:
    execution = work.execution.id
    return {
        "passed_ids": [step_run_id(execution, one.scope, one.step) for one in passed],
        "passed_scopes": [scope_id(execution, one.scope) for one in passed],
        "passed_steps": [one.step for one in passed],
        "passed_paths": [one.scope for one in passed],
        "passed_types": [work.workflow.steps[one.step].type.value for one in passed],
        "passed_verdicts": [None if one.verdict is None else write_json(one.verdict) for one in passed],
    }


def _changed(work: Work, changed: Sequence[ScopeFact]) -> dict[str, Any]:
    return {
        "scope_ids": [scope_id(work.execution.id, scope.path) for scope in changed],
        "scope_statuses": [scope.status.value for scope in changed],
        "scope_variables": [_in_row(work, scope.variables) for scope in changed],
        "scope_writes": [_in_row(work, scope.writes) for scope in changed],
    }


def _opened(work: Work, opened: Opened) -> dict[str, Any]:
    step, begins = work.workflow.steps[opened.step], work.execution.now
    deadline = deadlines.of_step_run(step, opened.kind, begins)
    return {
        "next": step_run_id(work.execution.id, opened.scope, opened.step),
        "next_scope": scope_id(work.execution.id, opened.scope),
        "next_step": opened.step,
        "next_path": opened.scope,
        "next_type": step.type.value,
        "next_kind": opened.kind.value,
        "next_deadline": None if deadline is None else deadline - begins,
        **_claim(work),
    }


def _claim(work: Work) -> dict[str, Any]:
    return {"worker": work.worker, "lease": settings.SALLYPORT_LEASE}


def _taking(work: Work, following: _Following, known: KnownFacts, beside: Sequence[UUID]) -> dict[str, Any]:
    """A branch of a parallel has ended: the next one that waits is claimed. That one is open, so nothing joins here.

    Raises _NotUsual where nothing else can have happened but the end of this branch.
    """
    branch = known.scope(work.run.scope_path)
    if branch is None or branch.parent is None or branch.opener not in work.workflow.steps:
        raise _NotUsual
    ends = [scope.path for scope in following.changed if scope.status is not ScopeStatus.OPEN]
    if work.workflow.steps[branch.opener].type != StepType.PARALLEL or ends != [branch.path]:
        raise _NotUsual
    return {
        **({"beside": beside[0]} if beside else {"since": _somewhere_beside(work, branch)}),
        "parent": scope_id(work.execution.id, branch.parent),
        "parent_path": branch.parent,
        "opener": branch.opener,
        **_claim(work),
    }


def _somewhere_beside(work: Work, branch: ScopeFact) -> int:
    """A position among those of the first step runs of a parallel's branches, which are opened one after the other.

    Raises _NotUsual where the step that ends is not such a one itself, so that nothing is known of their positions.
    """
    firsts = work.workflow.steps[branch.opener].next_steps
    if firsts[branch.position - 1] != work.run.step_id:
        raise _NotUsual
    return work.run.position - branch.position + 1 + random.randrange(len(firsts))  # noqa: S311 (no secret)


def _next(
    work: Work, following: _Following, row: Sequence[Any], args: Mapping[str, Any], known: KnownFacts, asked_at: float
) -> Work | None:
    now, last_seq, made, *rest = row
    if following.is_over:
        return None
    execution = replace(work.execution, now=now, last_seq=last_seq + args["seqs"], step_runs_made=made + args["made"])
    if following.opened is not None:
        run = _as_opened(work, following.opened, args, now=now, position=execution.step_runs_made, asked=rest)
        facts = work.facts.in_turn(execution)
        if following.changed:
            # A value is what its row gives back (numbers, the order of members): what follows must not see another.
            facts = StoredFacts(execution)
            facts.load_chain(run.scope_id)
    else:
        run = StepRunRow.read(rest[10:])
        facts = work.facts.chain_and(execution, scope_fact(rest[:10]))
    return replace(work, execution=execution, run=run, facts=facts, asked_at=asked_at)


def _as_opened(
    work: Work, opened: Opened, args: Mapping[str, Any], *, now: datetime, position: int, asked: Sequence[bool]
) -> StepRunRow:
    """The row that was inserted. ``asked``: may_need_approval, may_be_gated."""
    return StepRunRow(
        id=args["next"],
        execution_id=work.execution.id,
        tenant_id=work.execution.tenant_id,
        scope_id=args["next_scope"],
        step_id=opened.step,
        scope_path=opened.scope,
        step_type=args["next_type"],
        kind=args["next_kind"],
        position=position,
        status="running",
        fence=1,
        intent_fence=0,
        effect="none",
        effective_class="",
        deadline_at=None if args["next_deadline"] is None else now + args["next_deadline"],
        lost_attempts=0,
        tries=0,
        class_valid_until=None,
        note={},
        may_need_approval=asked[0],
        may_be_gated=asked[1],
    )
