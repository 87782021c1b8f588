"""Sub-playbooks: a child execution is started by a playbook-action, and its end moves its parent (CACAO.md 12.12)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from accounts.models import Tenant
from connectors.base import Outcome, OutcomeKind
from core.actors import SYSTEM
from core.errors import NotFound
from executions import payloads, statements
from executions.engine.apart import Damaged, whole
from executions.engine.decisions import Result
from executions.engine.statuses import StepStatus
from executions.engine.variables import Scopes
from executions.facts import StoredFacts
from executions.models import Execution, Scope, StepRun
from executions.performed import Abandoned, Performed, engine_failure
from executions.services.answering import settle_waiting
from executions.services.claiming import Work
from executions.services.starting import StartRefused, start_execution
from executions.services.steering import hold_with_parent
from executions.statements import database_now
from executions.turn import turn_of
from playbooks import selectors as playbooks
from playbooks.cacao.types import Value
from playbooks.cacao.values import convert

NOT_FOUND = ("playbook_revoked", "playbook_not_yet_valid", "playbook_expired")


def start_child(work: Work) -> Performed:
    """Start the child of a playbook-action, once; the step run then waits for its end. Raises Abandoned."""
    try:
        with transaction.atomic():
            if not statements.may_act(work.run):
                raise Abandoned("the lease is lost or the execution is stopping")
            if not Execution.objects.filter(parent_step_run_id=work.run.id).exists():
                _start(work)
    except NotFound as error:
        return engine_failure("playbook_not_found", error.message)
    except Damaged as error:
        return engine_failure(error.reason, str(error))
    except StartRefused as error:
        reason = "playbook_not_found" if error.code in NOT_FOUND else "argument_invalid"
        return engine_failure("limit" if error.code == "limit" else reason, error.message)
    return Performed(Outcome(kind=OutcomeKind.WAITING))


def _start(work: Work) -> None:
    step = work.step
    tenant = Tenant.objects.get(pk=work.execution.tenant_id)
    playbook = playbooks.get_by_cacao_id(tenant, step.playbook_id or "")
    version = (
        playbooks.get_version(playbook, step.playbook_version)
        if step.playbook_version
        else playbooks.latest_version(playbook)
    )
    _refuse_own_ancestor(work, playbook.pk)
    child = start_execution(
        tenant=tenant,
        version=version,
        inputs={"variables": _arguments(work)},
        options=_options(work),
        actor=SYSTEM,
        parent=StepRun.objects.select_related("execution").get(pk=work.run.id),
        now=_clock(work),
    )
    # A claim may have come just before the hold of the parent, whose row is shared here since then: what it starts is
    # held from its first moment on.
    if Execution.objects.filter(pk=work.execution.id, held_at__isnull=False).exists():
        hold_with_parent(child.pk, by="the hold of its parent")


def _clock(work: Work) -> datetime:
    """A scripted execution has a clock of its own, which decides validity only."""
    scripted = (work.execution.script or {}).get("now")
    return datetime.fromisoformat(scripted) if scripted else database_now()


def _refuse_own_ancestor(work: Work, playbook_id: UUID) -> None:
    current: Execution | None = Execution.objects.get(pk=work.execution.id)
    while current is not None:
        if current.playbook_id == playbook_id:
            raise StartRefused("limit", "A playbook cannot start itself, also not through others.")
        parent = current.parent_step_run
        current = parent.execution if parent else None


def _arguments(work: Work) -> dict[str, Value]:
    scopes = Scopes(work.workflow, work.facts)
    given: dict[str, Value] = {}
    for name in work.step.in_args:
        found = scopes.read(name, work.run.scope_path, work.step)
        if found is not None and found[1] is not None:
            given[name] = found[1]
    return given


def _options(work: Work) -> dict[str, object]:
    """A dry run's children are dry runs; a scripted one's children play their own script."""
    options = {name: work.execution.options[name] for name in ("dry_run",) if name in work.execution.options}
    script = work.execution.script
    if script is not None:
        own = script.get("children", {}).get(work.step.playbook_id, {})
        children = script.get("children", {})
        options["script"] = {
            "steps": own.get("script", {}),
            "decisions": own.get("decisions", {}),
            "children": children,
            "now": script.get("now"),
        }
    return options


def settle_child(step_run_id: UUID) -> bool:
    """Move the parent's step run by what its child came to; read from the child, never from a message."""
    run = StepRun.objects.filter(pk=step_run_id, status="waiting", kind="child").first()
    child = Execution.objects.filter(parent_step_run_id=step_run_id).first()
    if run is None or child is None or not child.is_final:
        return False
    with turn_of(run.execution_id) as turn:
        if turn is None:
            return False
        run.refresh_from_db()
        if run.status != "waiting":
            return False
        try:
            result = _result(run, child, StoredFacts(turn.row))
        except Damaged as error:
            result = Result(StepStatus.FAILED, error.reason, str(error))
        settle_waiting(turn, run, result=result, output={"execution": str(child.pk)})
    return True


def _result(run: StepRun, child: Execution, facts: StoredFacts) -> Result:
    if child.status != "completed":
        return Result(StepStatus.FAILED, "child_failed", f"the playbook that was started ended {child.status}")
    workflow = playbooks.workflow_by_id(run.execution.version_id)
    step = workflow.steps[run.step_id]
    theirs = payloads.unpack(child.pk, Scope.objects.get(execution=child, path="").variables)
    values: dict[str, Value] = {}
    for name in step.out_args:
        if name not in theirs:
            return Result(StepStatus.FAILED, "argument_invalid", f"the playbook that was started has no {name}")
        if theirs[name] is None:
            continue
        ours = Scopes(workflow, facts).find(name, run.scope_path, step)
        try:
            values[name] = convert(whole(theirs[name]), ours[0].type if ours else "string")
        except ValueError as error:
            return Result(StepStatus.FAILED, "output_invalid", f"{name}: {error}")
    return Result(StepStatus.COMPLETED, values=values)
