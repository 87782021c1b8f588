"""Executions that ended long ago, made by the hundred thousand: copies, by SQL, of some that the engine ran."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import Tenant
from benchmarks.executions import store
from core.actors import SYSTEM
from executions.models import Attempt, Event, Execution, Scope, StepRun
from executions.services import cancel_execution, start_execution
from executions.statements import database_now
from playbooks.cacao.types import Operation, Question, QuestionKind, Step, StepType
from playbooks.models import PlaybookVersion

CHUNK = 20_000
DAYS = 90
PLAYBOOKS = 20
#: executions of each hundred that are copies of: completed, failed; the rest are cancelled
COMPLETED, FAILED = 90, 9
#: executions that wait for a person, and have for longer than anything else is old
WAITING = 20

# The newest is a minute old; they lie evenly over the days before, in the order in which they are written. Of the last
# playbook there is one in ten thousand.
PLACES = """
CREATE TEMPORARY TABLE place ON COMMIT DROP AS
SELECT n, uuidv7(shift) AS execution, clock_timestamp() + shift AS at,
       (%(templates)s::uuid[])[CASE WHEN n %% 100 < %(completed)s THEN 1 WHEN n %% 100 < %(failed)s THEN 2 ELSE 3 END]
           AS template,
       CASE WHEN n %% 10000 = 77 THEN cardinality(%(versions)s::uuid[])
            ELSE 1 + n %% (cardinality(%(versions)s::uuid[]) - 1) END AS version
  FROM (SELECT n, - make_interval(secs => 60 + %(spread)s * (1 - (n - %(from)s) / %(rows)s::float8)) AS shift
          FROM generate_series(%(first)s::bigint, %(last)s::bigint) n) rows
"""
#: how the id of a copied row is made from the new execution's and the old row's
_NEW = "md5(p.execution::text || {})::uuid"


@dataclass(frozen=True)
class History:
    """``templates``: one execution that completed, one that failed, one that was cancelled. The last of ``versions``
    is of a playbook that hardly ever runs.
    """

    tenant: Tenant
    versions: Sequence[PlaybookVersion]
    templates: Sequence[UUID]
    waiting: Sequence[UUID]

    def grow(self, count: int, *, say: Callable[[str], None]) -> None:
        """Add executions until the tenant has ``count``; PostgreSQL has counted them and cleaned up afterwards."""
        began, there = time.monotonic(), Execution.objects.filter(tenant=self.tenant).count()
        for number, first in enumerate(range(there, count, CHUNK), start=1):
            self._add(first, min(first + CHUNK, count) - 1, of=(there, count))
            if number % 10 == 0:
                say(f"history: {first + CHUNK:,} of {count:,} executions, {time.monotonic() - began:.0f} s")
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
            cursor.execute("CHECKPOINT")
        say(f"history: {count:,} executions after {time.monotonic() - began:.0f} s")

    def _add(self, first: int, last: int, *, of: tuple[int, int]) -> None:
        from django.db import transaction

        args: dict[str, Any] = {
            "templates": list(self.templates),
            "versions": [version.pk for version in self.versions],
            "completed": COMPLETED,
            "failed": COMPLETED + FAILED,
            "spread": DAYS * 86_400,
            "first": first,
            "last": last,
            "from": of[0],
            "rows": of[1] - of[0],
        }
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
            cursor.execute("SET LOCAL enable_seqscan = on")
            # Copies point where their originals do; twenty million checks of that would take longer than all the rest.
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(PLACES, args)
            cursor.execute("ANALYZE place")
            for statement in _statements():
                cursor.execute(statement, args)

    def some(self, count: int) -> list[tuple[UUID, int]]:
        """Return ids and numbers of ended executions here and there in the history."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, number FROM executions_execution TABLESAMPLE SYSTEM (5)"
                " WHERE tenant_id = %s AND status = 'completed' ORDER BY random() LIMIT %s",
                (self.tenant.pk, count),
            )
            return list(cursor.fetchall())


def begin(tenant: Tenant) -> History:
    """Make the playbooks, and the executions that are copied; workers run them."""
    versions = [_sequence(tenant, "fake.run") for _ in range(PLAYBOOKS)]
    completed = _start(tenant, versions[0])
    failed = _start(tenant, _sequence(tenant, "http.request"))  # there is no connection: the first step fails
    asking = _asking(tenant)
    cancelled, *waiting = (_start(tenant, asking) for _ in range(1 + WAITING))
    _until(lambda: _has_status("paused", cancelled, *waiting))
    cancel_execution(execution=Execution.objects.get(pk=cancelled), actor=SYSTEM, now=database_now())
    _until(lambda: _has_status("completed", completed) and _has_status("failed", failed))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE executions_execution SET created_at = created_at - make_interval(days => %s) WHERE id = ANY(%s)",
            (DAYS + 1, waiting),
        )
    return History(tenant, versions, (completed, failed, cancelled), waiting)


def _sequence(tenant: Tenant, operation: str) -> PlaybookVersion:
    steps = [
        Step(
            id=name,
            type=StepType.ACTION,
            operation=Operation(name=operation, reference=f"act-{operation.replace('.', '-')}", parameters={}),
            on_success=following,
        )
        for name, following in (("look-up", "contain"), ("contain", "end"))
    ]
    return store(tenant, steps, first="look-up")


def _asking(tenant: Tenant) -> PlaybookVersion:
    question = Question(QuestionKind.APPROVAL, "May it be contained?")
    return store(
        tenant, [Step(id="ask", type=StepType.ACTION, question=question, on_success="end", on_failure="end")],
        first="ask",
    )  # fmt: skip


def _start(tenant: Tenant, version: PlaybookVersion) -> UUID:
    return start_execution(tenant=tenant, version=version, inputs={}, options={}, actor=SYSTEM, now=database_now()).pk


def _has_status(status: str, *executions: UUID) -> bool:
    return not Execution.objects.filter(pk__in=executions).exclude(status=status).exists()


def _until(is_so: Callable[[], bool]) -> None:
    pause, until = threading.Event(), time.monotonic() + 60
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError("the executions to be copied did not come about within a minute")
        pause.wait(0.05)


def _statements() -> list[str]:
    """One INSERT a table, in the order of what points at what."""
    version = "(%(versions)s::uuid[])[p.version]"
    step_run = _NEW.format("s.id::text")
    return [
        _insert(
            Execution,
            "FROM place p JOIN executions_execution t ON t.id = p.template"
            f" JOIN playbooks_playbookversion v ON v.id = {version}",
            id="p.execution", number="nextval('executions_execution_number')", version_id="v.id",
            playbook_id="v.playbook_id",
        ),
        _insert(
            Scope,
            "FROM place p JOIN executions_scope t ON t.execution_id = p.template",
            id=_NEW.format("t.id::text"), execution_id="p.execution",
        ),
        _insert(
            StepRun,
            "FROM place p JOIN executions_steprun t ON t.execution_id = p.template",
            id=_NEW.format("t.id::text"), execution_id="p.execution", scope_id=_NEW.format("t.scope_id::text"),
        ),
        _insert(
            Attempt,
            "FROM place p JOIN executions_steprun s ON s.execution_id = p.template"
            " JOIN executions_attempt t ON t.step_run_id = s.id",
            step_run_id=step_run,
        ),
        _insert(
            Event,
            "FROM place p JOIN executions_event t ON t.execution_id = p.template",
            execution_id="p.execution", step_run_id=_NEW.format("t.step_run_id::text"),
        ),
    ]  # fmt: skip


def _insert(model: type[Any], source: str, **changed: str) -> str:
    """Copy a template's rows ``t``: other ids, and all times moved by as much as the execution's own."""
    moved = "p.at + (t.{column} - (SELECT x.created_at FROM executions_execution x WHERE x.id = p.template))"
    columns: dict[str, str] = {}
    for field in model._meta.concrete_fields:
        name = field.column
        if field.get_internal_type() == "BigAutoField":
            continue
        is_time = field.get_internal_type() == "DateTimeField"
        columns[name] = changed.get(name) or (moved.format(column=name) if is_time else f"t.{name}")
    return f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} {source}"
