"""Jobs of fins over MQTT: a message holds one command, so a step with several sends one after the other (D19).

One command of a capability is out at a time: the fins' library takes them up one by one, and answers no sooner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection

from connectors.base import EffectClass, failed
from connectors.fin import jobs, services
from connectors.fin.models import Fin, FinCapability, FinJob, FinTransport
from core.clock import database_now
from executions.services import callbacks
from executions.services.fin_jobs import Handed, Report, cleaned, handed_of, keep_late, settle, take, with_turn
from executions.stored_json import storable
from executions.turn import Turn, turn_of

#: how long a fin has to acknowledge a command, and how often it is sent
PATIENCE: Final = timedelta(seconds=10)
PUBLICATIONS: Final = 3

# Index fin_job_live. Not acknowledged, and not sent yet or too long ago.
DUE = """
SELECT id, execution_id FROM connectors_finjob
 WHERE state = 'taken' AND tenant_id = %(tenant)s AND transport = 'mqtt' AND acked_at IS NULL
   AND (published_at IS NULL OR published_at <= clock_timestamp() - %(patience)s)
 ORDER BY id LIMIT 50
"""
# Index fin_job_open. The oldest of each capability that has nothing out and whose fin takes work.
OPEN = """
SELECT DISTINCT ON (j.capability) j.id, j.execution_id, c.fin_id FROM connectors_finjob j
  JOIN connectors_fincapability c ON c.tenant_id = j.tenant_id AND c.key = j.capability AND c.transport = 'mqtt'
  JOIN connectors_fin f ON f.id = c.fin_id AND f.gone_at IS NULL AND f.removed_at IS NULL
  JOIN executions_steprun s ON s.id = j.step_run_id AND s.fence = j.fence AND s.status || '' = 'waiting'
  JOIN executions_execution e ON e.id = s.execution_id AND e.stop_as = '' AND e.held_at IS NULL
 WHERE j.tenant_id = %(tenant)s AND j.state = 'open' AND j.transport = 'mqtt' AND NOT c.is_paused
   AND NOT EXISTS (SELECT 1 FROM connectors_finjob o
                    WHERE o.state = 'taken' AND o.tenant_id = j.tenant_id AND o.capability = j.capability)
 ORDER BY j.capability, j.id
"""


@dataclass(frozen=True)
class Sending:
    """One command to publish. ``position`` is its number among those of the job, from 0."""

    handed: Handed
    position: int
    message_id: str
    generated_on: str

    @property
    def command(self) -> Mapping[str, Any]:
        return self.handed.commands[self.position // max(1, len(self.handed.targets))]

    @property
    def authentication(self) -> Mapping[str, Any] | None:
        targets = self.handed.targets
        found: Mapping[str, Any] | None = targets[self.position % len(targets)]["authentication"] if targets else None
        return found


@dataclass(frozen=True)
class Answer:
    """A ``result`` message. ``generated_on`` "": the fin did not give the context's back."""

    message_id: str
    execution_id: UUID
    step_id: str
    generated_on: str
    report: Report


def commands_to_send(tenant_id: UUID) -> list[Sending]:
    """Return what is to be published now, each noted as published; a command that stays unanswered fails its step."""
    found = []
    for job_id, execution_id in _rows(DUE, tenant_id):
        sending = _again(job_id, execution_id)
        found += [sending] if sending is not None else []
    for job_id, execution_id, fin_id in _rows(OPEN, tenant_id):
        fin = Fin.objects.get(pk=fin_id)
        generated_on = _now_text()
        handed = take(
            job_id, execution_id, fin, lease=None,
            generated_on=generated_on, published_at=database_now(), publications=1,
        )  # fmt: skip
        if handed is not None:
            found.append(Sending(handed, 0, message_id_of(job_id, 0), generated_on))
    return found


def _now_text() -> str:
    """When a message was made, to the microsecond: it tells the answers to two visits of one step apart."""
    return database_now().isoformat().replace("+00:00", "Z")


def message_id_of(job_id: UUID, position: int) -> str:
    return str(job_id) if position == 0 else f"{job_id}.{position}"


def note_ack(*, tenant_id: UUID, capability: str, message_id: str) -> None:
    """The fin has taken the command up; what it says of anything else means nothing."""
    for job in _taken(tenant_id, capability):
        if message_id == message_id_of(job.pk, job.position) and job.acked_at is None:
            FinJob.objects.filter(pk=job.pk, state="taken", position=job.position).update(acked_at=database_now())


def note_refused(*, tenant_id: UUID, capability: str, message_id: str) -> None:
    """The fin refuses the command (``nack``): the attempt has failed, nothing was done."""
    for job in _taken(tenant_id, capability):
        if message_id == message_id_of(job.pk, job.position):
            with_turn(job, lambda turn, locked: _give_up(turn, locked, "The fin refused the command."))


def record_answer(*, tenant_id: UUID, capability: str, answer: Answer) -> None:
    """Take a result: the next command goes out, or the step is settled. The same one again moves nothing."""
    found = FinJob.objects.filter(
        tenant_id=tenant_id, transport=FinTransport.MQTT, capability=capability, execution_id=answer.execution_id
    )
    for job in found.order_by("-id"):
        if job.result_message == answer.message_id:
            return
        if job.generated_on and answer.generated_on in ("", job.generated_on):
            with_turn(job, lambda turn, locked: _record(turn, locked, answer))
            return


def _record(turn: Turn, job: FinJob, answer: Answer) -> None:
    run = callbacks.waiting_run(turn, job.step_run_id, job.fence) if job.state == "taken" else None
    if run is None or run.step_id != answer.step_id:
        keep_late(turn, job, answer.report)
        FinJob.objects.filter(pk=job.pk).update(result_message=answer.message_id)
        return
    given = cleaned(job, answer.report)
    values = {**job.values, **dict(given.values)}
    last = len(job.body["commands"]) * max(1, len(job.body["targets"])) - 1
    if given.success and job.position < last:
        FinJob.objects.filter(pk=job.pk).update(
            position=job.position + 1, values=storable(values), result_message=answer.message_id,
            acked_at=None, published_at=None, publications=0, generated_on=_now_text(),
        )  # fmt: skip
        return
    if not given.success:
        values = job.values  # what the failed command gave is no result
    settle(turn, run, job, Report(given.success, values, given.error))
    jobs.end(job, "done", result_message=answer.message_id)


def _again(job_id: UUID, execution_id: UUID) -> Sending | None:
    """Note one more publication of a command; None where it was the last, or nobody waits for it."""
    with turn_of(execution_id) as turn:
        job = FinJob.objects.select_for_update().filter(pk=job_id, state="taken", acked_at=None).first()
        if turn is None or job is None:
            return None
        run = callbacks.waiting_run(turn, job.step_run_id, job.fence)
        if run is None:
            jobs.end(job, "closed")
            return None
        if job.publications >= PUBLICATIONS:
            _give_up(turn, job, "The fin did not acknowledge the command.")
            if job.fin_id is not None:
                services.note_gone(fin_id=job.fin_id, now=turn.now)
            return None
        handed = handed_of(turn, run, job)
        FinJob.objects.filter(pk=job.pk).update(publications=job.publications + 1, published_at=turn.now)
    return Sending(handed, job.position, message_id_of(job.pk, job.position), job.generated_on)


def _give_up(turn: Turn, job: FinJob, why: str) -> None:
    """Fail the attempt: this command was not begun, so it had no effect; those before it had theirs."""
    run = callbacks.waiting_run(turn, job.step_run_id, job.fence)
    is_first = job.position == 0
    values = dict(job.values)
    effect = EffectClass(job.effect)
    jobs.end(job, "closed")
    if run is not None:
        outcome = failed("command_failed", why, sent=not is_first, retry=None if is_first else False)
        callbacks.fail(turn, run, outcome, effect_class=effect, output=values)


def _rows(sql: str, tenant_id: UUID) -> list[tuple[Any, ...]]:
    args: dict[str, Any] = {"tenant": tenant_id, "patience": PATIENCE}
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return list(cursor.fetchall())


def _taken(tenant_id: UUID, capability: str) -> list[FinJob]:
    found = FinJob.objects.filter(
        state="taken", tenant_id=tenant_id, transport=FinTransport.MQTT, capability=capability
    )
    return list(found.order_by("id"))


def capability_of(tenant_id: UUID, key: str) -> FinCapability | None:
    found = FinCapability.objects.select_related("fin").filter(tenant_id=tenant_id, transport="mqtt", key=key)
    return found.first()


def is_working(capability: FinCapability) -> bool:
    return bool(_taken(capability.tenant_id, capability.key))
