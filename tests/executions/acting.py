"""What tests do to one execution: claim a step, record an outcome, lose a lease, answer a question, look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from accounts.models import Tenant
from connectors.base import Outcome, OutcomeKind
from connectors.services import save_connection
from core.actors import Actor, ActorKind
from executions.models import Attempt, Event, Execution, Review, StepRun
from executions.performed import Performed
from executions.services import answer_request
from executions.services.claiming import Work, claim_step
from executions.services.recording import record_outcome
from manual.models import ManualRequest
from manual.services import Answer
from playbooks.cacao.types import Operation, Step, StepType, Workflow
from tests.connectors.servers import Server
from tests.factories import NOON

PERSON = Actor(
    kind=ActorKind.USER, id="u", name="someone", permissions=frozenset({"manual:respond", "approvals:decide"})
)
OTHER = Actor(kind=ActorKind.USER, id="o", name="somebody else", permissions=PERSON.permissions)
DONE = Performed(Outcome(OutcomeKind.COMPLETED))


def run_of(execution: Execution, step: str) -> StepRun:
    """The latest visit of a step."""
    return StepRun.objects.filter(execution=execution, step_id=step).latest("position")


def claim(execution: Execution, step: str, *, worker: str = "w1") -> Work:
    work = claim_step(step_run_id=run_of(execution, step).pk, worker=worker)
    assert work is not None, f"{step} cannot be claimed: it is {run_of(execution, step).status}"
    return work


def record(work: Work, performed: Performed = DONE) -> None:
    record_outcome(work=work, performed=performed, carry_on=False)


def advance(execution: Execution, *steps: str) -> None:
    """Claim and complete these steps, one after the other."""
    for step in steps:
        record(claim(execution, step))


def lose(work: Work) -> None:
    """The lease of a claimed step runs out, if its worker still holds it."""
    if StepRun.objects.filter(pk=work.run.id, status="running", fence=work.run.fence).exists():
        change(work.run.id, "lease_until = clock_timestamp() - interval '1 ms'")


def pass_deadline(execution: Execution, step: str) -> None:
    """The deadline of a step, and of the question that it asks, passes."""
    run = run_of(execution, step)
    change(run.pk, "deadline_at = clock_timestamp() - interval '1 ms'")
    ManualRequest.objects.filter(step_run=run, status="open").update(deadline_at=_just_gone())


def change(step_run: UUID, assignments: str) -> None:
    """Set columns of a step run by SQL, times in the database's own clock."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE executions_steprun SET {assignments} WHERE id = %s", (step_run,))


def _just_gone() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() - interval '1 ms'")
        return cursor.fetchone()[0]


def asked(execution: Execution, step: str) -> ManualRequest:
    return ManualRequest.objects.get(step_run__execution=execution, step_id=step, status="open")


def answer(
    request: ManualRequest, values: Mapping[str, Any] | None = None, *, by: Actor = PERSON, success: bool = True
) -> ManualRequest:
    return answer_request(request=request, answer=Answer(success, values or {}), actor=by, now=timezone.now())


def statuses(execution: Execution) -> dict[str, str]:
    """The latest status of each step that was visited, but for start and end."""
    runs = StepRun.objects.filter(execution=execution).exclude(step_type__in=("start", "end")).order_by("position")
    return dict(runs.values_list("step_id", "status"))


def state(execution: Execution) -> tuple[str, str]:
    execution.refresh_from_db()
    return execution.status, execution.reason


def events(execution: Execution) -> list[str]:
    return list(Event.objects.filter(execution=execution).order_by("seq").values_list("type", flat=True))


def attempts(execution: Execution, step: str) -> list[str]:
    found = Attempt.objects.filter(step_run__execution=execution, step_run__step_id=step)
    return list(found.order_by("step_run__position", "number").values_list("outcome", flat=True))


def open_reviews(execution: Execution) -> list[Review]:
    return list(Review.objects.filter(execution=execution, status="open"))


def post(name: str, path: str = "/effect/keyed", *, method: str = "POST", **more: Any) -> Step:
    """A step that calls the connection ``ledger``."""
    operation = Operation(
        name="http.request",
        reference="act-http-request",
        parameters={"connection": "ledger", "method": method, "path": path, "body": {"step": name}},
    )
    return Step(id=name, type=StepType.ACTION, operation=operation, **{"on_success": "end", **more})


def one_step(step: Step, **more: Any) -> Workflow:
    start = Step(id="start", type=StepType.START, on_completion=step.id)
    steps = {found.id: found for found in (start, step, Step(id="end", type=StepType.END))}
    return Workflow(start="start", steps=steps, dialect="s4e", **more)


def connect(tenant: Tenant, server: Server, *, keyed: bool = True, **settings: Any) -> None:
    """Let the connection ``ledger`` lead to a server."""
    save_connection(
        tenant=tenant, kind="http", name="ledger", url=server.url, secrets={}, settings=settings, keyed=keyed,
        allow_networks=("127.0.0.0/8",), hosts=(), now=NOON,
    )  # fmt: skip
