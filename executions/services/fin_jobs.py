"""Jobs of fins: handed out, kept alive, reported, taken back. The step run waits meanwhile, and holds no worker.

A job and its step run are read and written in one turn. Lock order: execution, job, step run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection

from connectors.base import EffectClass, Outcome, OutcomeKind, failed
from connectors.fin import jobs
from connectors.fin.models import Fin, FinJob, FinTransport
from core import strict_json
from core.errors import DomainError, Forbidden, NotFound
from core.secrets import Scrubber
from executions import statements
from executions.engine.apart import Damaged
from executions.engine.variables import RESERVED, Scopes
from executions.facts import StoredFacts
from executions.models import Execution, StepRun
from executions.preparing import is_secret, secret_names
from executions.services import callbacks
from executions.stored_json import storable
from executions.switches import EFFECTS
from executions.turn import Turn, turn_of
from playbooks.cacao.types import Step, Variable, Workflow
from playbooks.cacao.values import text_of
from playbooks.selectors import workflow_by_id

#: what the PATCH of a fin is answered with once nobody waits for its result
CANCEL: Final = "cancel"
BATCH: Final = 50
#: rows of jobs that are over are kept so long, so that a late result is still told from an unknown job
KEPT: Final = timedelta(days=7)

# Index fin_job_open. A job counts once its step run waits: until then the attempt that wrote it is not recorded.
OPEN = """
SELECT j.id, j.execution_id FROM connectors_finjob j
  JOIN executions_steprun s ON s.id = j.step_run_id AND s.fence = j.fence AND s.status || '' = 'waiting'
  JOIN executions_execution e ON e.id = s.execution_id AND e.stop_as = '' AND e.held_at IS NULL
 WHERE j.tenant_id = %s AND j.state = 'open' AND j.transport = 'http' AND j.capability = ANY(%s)
 ORDER BY j.id LIMIT 10
"""
# Index fin_job_leases.
LOST = """
SELECT id, execution_id FROM connectors_finjob
 WHERE state = 'taken' AND lease_until <= clock_timestamp() ORDER BY lease_until LIMIT %s
"""
# Index fin_job_live. A step run that runs has an attempt that is being recorded.
CLOSE = """
UPDATE connectors_finjob j
   SET state = 'closed', body = '{}', values = '{}', lease_until = NULL, progress = '',
       sealed_secrets = CASE WHEN sealed_secrets = '' THEN '' ELSE 'gone' END
 WHERE j.state IN ('open', 'taken') AND NOT EXISTS (
    SELECT 1 FROM executions_steprun s
     WHERE s.id = j.step_run_id AND s.fence = j.fence AND s.status || '' IN ('waiting', 'running'))
"""
FORGET = """
DELETE FROM connectors_finjob
 WHERE state IN ('done', 'lost', 'closed') AND created_at < clock_timestamp() - %s
"""
EXTEND = """
UPDATE connectors_finjob j SET lease_until = clock_timestamp() + %s, progress = COALESCE(%s, progress)
 WHERE j.id = %s AND j.state = 'taken' AND EXISTS (
    SELECT 1 FROM executions_steprun s
     WHERE s.id = j.step_run_id AND s.fence = j.fence AND s.status || '' = 'waiting')
"""


class JobNotFound(NotFound):
    code = "job_not_found"


class JobNotYours(Forbidden):
    code = "job_not_yours"


@dataclass(frozen=True)
class Handed:
    """A job as it goes to its fin. ``variables`` as declared, with their values; ``authentication`` by target index."""

    job: FinJob
    run: StepRun
    step: Step
    playbook_id: str
    variables: Mapping[str, tuple[Variable, Any]]
    commands: Sequence[Mapping[str, Any]]
    targets: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Report:
    """What a fin says of its job. ``values``: variable name to value; those of failed targets are not among them."""

    success: bool
    values: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


def take_job(*, fin: Fin) -> Handed | None:
    """Give a fin that polls the oldest open job of its capabilities, if there is one."""
    keys = list(fin.capabilities.filter(is_paused=False).values_list("key", flat=True))
    for job_id, execution_id in _rows(OPEN, (fin.tenant_id, keys)):
        handed = take(job_id, execution_id, fin, lease=settings.FIN_JOB_LEASE)
        if handed is not None:
            return handed
    return None


def take(job_id: UUID, execution_id: UUID, fin: Fin, *, lease: timedelta | None, **more: Any) -> Handed | None:
    """Give an open job to a fin; None where somebody else has it, or it may not begin now."""
    with turn_of(execution_id) as turn:
        if turn is None or not turn.may_claim:
            return None
        job = FinJob.objects.select_for_update(skip_locked=True).filter(pk=job_id, state="open").first()
        run = callbacks.waiting_run(turn, job.step_run_id, job.fence) if job is not None else None
        if job is None or run is None or _is_switched(job):
            return None
        try:
            handed = handed_of(turn, run, job)
        except (DomainError, Damaged) as error:
            jobs.end(job, "closed")
            why = failed("argument_invalid", str(error), sent=False, retry=False)
            callbacks.fail(turn, run, why, effect_class=EffectClass(job.effect))
            return None
        changes = {"state": "taken", "fin": fin, "taken_at": turn.now, **more}
        FinJob.objects.filter(pk=job.pk).update(**changes, lease_until=turn.now + lease if lease else None)
        callbacks.note_begun(turn, run, EffectClass(job.effect))
        return handed


def handed_of(turn: Turn, run: StepRun, job: FinJob) -> Handed:
    """Return a job with what its fin needs. Raises SecretUnreadable, MasterKeyMissing, Damaged."""
    workflow = workflow_by_id(turn.row.version_id)
    step = workflow.steps[run.step_id]
    secrets = jobs.secrets_of(job)
    targets = [
        {"target": given["target"], "authentication": _login(workflow, given, index, secrets)}
        for index, given in enumerate(job.body["targets"])
    ]
    playbook = Execution.objects.select_related("playbook").only("playbook__cacao_id").get(pk=turn.id).playbook
    return Handed(
        job, run, step, playbook.cacao_id, _variables(turn, workflow, step, run), job.body["commands"], targets
    )


def _is_switched(job: FinJob) -> bool:
    """Whether a kill switch is over what the job goes through, as the gates of a call name it."""
    needs = ["connector:fin", f"effect_class:{job.effect}"] + ([] if job.effect == EffectClass.READ else [EFFECTS])
    return statements.standing(job.step_run_id, needs).is_switched


def _login(
    workflow: Workflow, given: Mapping[str, Any], index: int, secrets: Mapping[str, str]
) -> dict[str, Any] | None:
    if given["authentication"] is None:
        return None
    owner = workflow.targets.get(given["owner"]) or workflow.agents.get(given["owner"])
    prefix = f"{index}."
    own = {name.removeprefix(prefix): value for name, value in secrets.items() if name.startswith(prefix)}
    return {"id": owner.authentication if owner else None, **given["authentication"], **own}


def _variables(turn: Turn, workflow: Workflow, step: Step, run: StepRun) -> dict[str, tuple[Variable, Any]]:
    """What the step names as its arguments; where it names none, all that it can see but what is secret by its name."""
    scopes = Scopes(workflow, StoredFacts(turn.row))
    if step.in_args:
        names = set(step.in_args)
    else:
        known = secret_names(workflow)
        names = {name for name in scopes.declared(run.scope_path, step) if not is_secret(name, known)}
    found = {}
    for name in sorted(names | set(step.out_args)):
        read = scopes.read(name, run.scope_path, step) if name not in RESERVED else None
        if read is not None:
            found[name] = (read[0], None if read[1] is None else text_of(read[1]))
    return found


def keep_alive(*, fin: Fin, job_id: UUID, progress: str | None) -> str:
    """Extend the lease of a job; return "", or CANCEL where nobody waits for it. Raises JobNotFound, JobNotYours."""
    job = _job_of(fin, job_id)
    told = None if progress is None else cleaned(job, Report(True, error=progress)).error
    if not _changed(EXTEND, (settings.FIN_JOB_LEASE, told, job.pk)):
        return CANCEL
    return CANCEL if _is_switched(job) else ""


def record_report(*, fin: Fin, job_id: UUID, report: Report) -> None:
    """Take what a fin says of its job: once, and kept as a note where nobody waits for it any more.

    Raises JobNotFound, JobNotYours.
    """
    job = _job_of(fin, job_id)
    newer = FinJob.objects.filter(step_run_id=job.step_run_id, fence__gt=job.fence, fin__isnull=False)
    if newer.exclude(fin=fin).exists():
        raise JobNotYours("The job was given to another fin.")
    with_turn(job, lambda turn, locked: _record(turn, locked, report))


def with_turn(job: FinJob, act: Callable[[Turn, FinJob], None]) -> None:
    """Act on a job and its step run, both locked."""
    with turn_of(job.execution_id) as turn:
        if turn is None:
            raise JobNotFound("There is no such job.")
        act(turn, FinJob.objects.select_for_update().get(pk=job.pk))


def _record(turn: Turn, job: FinJob, report: Report) -> None:
    digest = strict_json.digest([report.success, storable(dict(report.values)), report.error])
    if job.state == "done" and job.result_digest == digest:
        return
    run = callbacks.waiting_run(turn, job.step_run_id, job.fence) if job.state == "taken" else None
    if run is None:
        keep_late(turn, job, report)
        if job.state == "taken":
            jobs.end(job, "closed")
        return
    settle(turn, run, job, report)
    jobs.end(job, "done", result_digest=digest)


def keep_late(turn: Turn, job: FinJob, report: Report) -> None:
    outcome = OutcomeKind.COMPLETED if report.success else OutcomeKind.FAILED
    said = cleaned(job, report).error
    callbacks.keep_late(turn, job.step_run_id, job.fence, outcome=outcome.value, message=said)


def settle(turn: Turn, run: StepRun, job: FinJob, report: Report) -> None:
    """Move the step run by what was reported, without the secrets that the fin was told."""
    clean = cleaned(job, report)
    effect = EffectClass(job.effect)
    output = _output(turn, run, clean.values)
    if clean.success:
        callbacks.complete(turn, run, Outcome(OutcomeKind.COMPLETED, output=output), effect_class=effect)
    else:
        message = clean.error or "The fin says that it failed."
        callbacks.fail(turn, run, failed("command_failed", message, sent=True), effect_class=effect, output=output)


def cleaned(job: FinJob, report: Report) -> Report:
    """Return the report with stars in place of the secrets that went along with the job (SEC-20).

    Where they cannot be searched for, because they are gone or do not open, nothing of what it says is kept.
    """
    if job.sealed_secrets == jobs.GONE:
        return Report(report.success)
    try:
        secrets = list(jobs.secrets_of(job).values())
    except DomainError:
        return Report(report.success)
    if not secrets:
        return report
    scrubber = Scrubber(secrets)
    return Report(report.success, scrubber.value(dict(report.values)), scrubber.text(report.error))


def _output(turn: Turn, run: StepRun, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The values as an output; None where none of them is asked for, so that nothing else is taken for the one."""
    step = workflow_by_id(turn.row.version_id).steps[run.step_id]
    known = {name: value for name, value in values.items() if value is not None}
    return known if known.keys() & set(step.out_args) or (known and step.outputs) else None


def take_back_lost() -> int:
    """Take back what fins let their lease run out on, and close what is over; return how many were lost."""
    _changed(CLOSE, ())
    _changed(FORGET, (KEPT,))
    return sum(_take_back(job, execution) for job, execution in _rows(LOST, (BATCH,)))


def _take_back(job_id: UUID, execution_id: UUID) -> bool:
    with turn_of(execution_id) as turn:
        job = FinJob.objects.select_for_update().filter(pk=job_id, state="taken").first()
        if turn is None or job is None or not _is_over(job, turn.now):
            return False
        jobs.end(job, "lost")
        run = callbacks.waiting_run(turn, job.step_run_id, job.fence)
        if run is not None:
            why = f"The fin that had the job gave no sign of life: {job.fin or 'it is unregistered'}."
            callbacks.lose(turn, run, effect_class=EffectClass(job.effect), why=why, may_act_for=settings.FIN_JOB_LEASE)
    return True


def _is_over(job: FinJob, now: datetime) -> bool:
    return job.lease_until is not None and job.lease_until <= now


def _job_of(fin: Fin, job_id: UUID) -> FinJob:
    job = FinJob.objects.filter(pk=job_id, tenant_id=fin.tenant_id, transport=FinTransport.HTTP).first()
    if job is None:
        raise JobNotFound("There is no such job.")
    if job.fin_id != fin.pk:
        raise JobNotYours("The job is not this fin's.")
    return job


def _changed(sql: str, args: Sequence[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return int(cursor.rowcount)


def _rows(sql: str, args: tuple[Any, ...]) -> list[tuple[UUID, UUID]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return list(cursor.fetchall())
