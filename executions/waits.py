"""What live executions wait for, by name: each reaches its end, or waits for something that is listed here (I1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL

from executions.caps import FULL, MAY_START
from executions.models import Execution, Review, StepRun
from executions.switches import SWITCHED
from manual.selectors import ClockTimestamp, list_of_step_runs

#: the words of ``Wait.kind``, and what ``id`` and ``until`` are there
KINDS: Final[Mapping[str, str]] = {
    "hold": "an operator's hold, or that of the parent; to be resumed",
    "stop": "running attempts to end after a stop; at the latest when their grace is over",
    "request": "a person's answer to the manual request `id`, until its deadline",
    "review": "a person's word in the review `id` on an unknown effect; trying again is possible after `until`",
    "child": "the end of the execution `id`",
    "timer": "the moment `until`",
    "retry": "the next attempt, due at `until`",
    "callback": "the far side to report, until the step's deadline",
    "gate": "a kill switch to be lifted, or a place under a cap; `by` says which",
    "worker": "a worker that is free",
    "call": "the attempt that runs, whose lease is good until `until`",
    "nothing": "nothing: this must never happen, and the sweep raises the alarm `orphan`",
}
#: waits listed for each execution; ``Waits.total`` counts them all
LISTED: Final = 20

# Index step_run_order (execution, position). A waiting opener waits for its branches, which are listed themselves.
LIVE = f"""
SELECT id, execution_id, step_id, kind, status, due_at, deadline_at, created_at, lease_until, quarantine_until,
       is_due, gate, total
  FROM (SELECT s.*, s.due_at <= clock_timestamp() AS is_due,
               CASE WHEN s.status <> 'pending' THEN '' WHEN {SWITCHED} THEN 'switch' WHEN {FULL} THEN 'cap' ELSE ''
                END AS gate,
               row_number() OVER (PARTITION BY s.execution_id ORDER BY s.position) AS place,
               count(*) OVER (PARTITION BY s.execution_id) AS total
          FROM executions_steprun s
         WHERE s.execution_id = ANY(%s) AND s.status IN ('pending', 'running', 'retrying', 'waiting', 'uncertain')
           AND NOT (s.kind = 'opener' AND s.status = 'waiting')) live
 WHERE place <= %s
 ORDER BY execution_id, place
"""  # noqa: S608 (constants of this code)

GATED = f"""
SELECT s.id FROM executions_steprun s
 WHERE s.status = 'pending' AND s.due_at <= clock_timestamp() AND NOT ({MAY_START})
"""  # noqa: S608


@dataclass(frozen=True)
class Wait:
    """``kind`` is one of KINDS; ``since`` and ``until`` may not be known."""

    kind: str
    step: str | None = None
    step_run: UUID | None = None
    id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    by: str = ""  # who holds, how it stops, what gate


@dataclass
class Waits:
    """``listed`` are the first LISTED of ``total``."""

    listed: list[Wait] = field(default_factory=list)
    total: int = 0


def waits_of(executions: Iterable[Execution], *, limit: int = LISTED) -> dict[UUID, Waits]:
    """Return what each live execution waits for; final ones are not in the answer. Four queries, however many."""
    live = {execution.pk: execution for execution in executions if not execution.is_final}
    if not live:
        return {}
    rows = _live_step_runs(list(live), limit)
    named = _named([row["id"] for row in rows if row["status"] in ("waiting", "uncertain")])
    found = {pk: _of_execution(execution) for pk, execution in live.items()}
    for row in rows:
        waits = found[row["execution_id"]]
        waits.listed.append(_of_step_run(row, named))
    totals = {row["execution_id"]: row["total"] for row in rows}
    for pk, waits in found.items():
        waits.total = totals.get(pk, 0) + sum(wait.step_run is None for wait in waits.listed)
        if not waits.listed:
            waits.listed, waits.total = [Wait("nothing")], 1
    return found


def waiting_for(executions: QuerySet[Execution], kind: str) -> QuerySet[Execution]:
    """Return those of ``executions`` that wait for something of that kind, other things beside it or not."""
    live = executions.filter(status__in=("pending", "running", "paused"))
    if kind == "hold":
        return live.filter(held_at__isnull=False)
    if kind == "stop":
        return live.exclude(stop_as="")
    return live.filter(Exists(StepRun.objects.filter(_of_kind(kind), execution=OuterRef("pk"))))


def _of_kind(kind: str) -> Q:
    asked = Q(manual_requests__status="open")
    gated = Q(pk__in=RawSQL(GATED, ()))  # noqa: S611 (a constant of this module)
    return {
        "request": Q(status="waiting") & asked,
        "review": Q(status="uncertain"),
        "child": Q(status="waiting", kind="child"),
        "timer": Q(status="waiting", kind="timer") | Q(status="pending", due_at__gt=ClockTimestamp()),
        "retry": Q(status="retrying"),
        "callback": Q(status="waiting", kind="act") & ~Q(manual_requests__status="open"),
        "gate": gated,
        "worker": Q(status="pending", due_at__lte=ClockTimestamp()) & ~gated,
        "call": Q(status="running"),
    }[kind]


def _live_step_runs(executions: list[UUID], limit: int) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(LIVE, (executions, limit))
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@dataclass(frozen=True)
class _Named:
    """What step runs wait for, by step run."""

    requests: Mapping[UUID, tuple[UUID, datetime | None]]
    reviews: Mapping[UUID, UUID]
    children: Mapping[UUID, UUID]


def _named(step_runs: Sequence[UUID]) -> _Named:
    if not step_runs:
        return _Named({}, {}, {})
    requests = list_of_step_runs(step_runs).filter(status="open").values_list("step_run_id", "pk", "deadline_at")
    reviews = Review.objects.filter(step_run_id__in=step_runs, status="open").values_list("step_run_id", "pk")
    children = Execution.objects.filter(parent_step_run_id__in=step_runs).values_list("parent_step_run_id", "pk")
    return _Named(
        {run: (pk, deadline) for run, pk, deadline in requests},
        dict(reviews),
        {run: pk for run, pk in children if run is not None},
    )


def _of_execution(execution: Execution) -> Waits:
    waits = Waits()
    if execution.held_at is not None:
        waits.listed.append(Wait("hold", since=execution.held_at, by=execution.held_by or "operator"))
    if execution.stop_as:
        waits.listed.append(Wait("stop", since=execution.stop_requested_at, by=execution.stop_as))
    return waits


def _of_step_run(row: Mapping[str, Any], named: _Named) -> Wait:
    kind, id_, until = _kind(row, named)
    by = row["gate"] if kind == "gate" else ""
    return Wait(kind, step=row["step_id"], step_run=row["id"], id=id_, since=row["created_at"], until=until, by=by)


def _kind(row: Mapping[str, Any], named: _Named) -> tuple[str, UUID | None, datetime | None]:
    run, deadline = row["id"], row["deadline_at"]
    match row["status"]:
        case "running":
            return "call", None, row["lease_until"]
        case "retrying":
            return "retry", None, row["due_at"]
        case "pending" if not row["is_due"]:
            return "timer", None, row["due_at"]
        case "pending":
            return "gate" if row["gate"] else "worker", None, None
        case "uncertain":
            return "review", named.reviews.get(run), row["quarantine_until"]
    if run in named.requests:
        return "request", *named.requests[run]
    if row["kind"] == "timer":
        return "timer", None, row["due_at"]
    if row["kind"] == "child":
        return "child", named.children.get(run), deadline
    return "callback", None, deadline
