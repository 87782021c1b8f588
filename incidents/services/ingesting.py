"""Makes incidents from findings, one or a thousand at a time, in a handful of statements."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from accounts.models import Tenant
from core.actors import Actor
from core.errors import FieldError, Invalid
from incidents import events
from incidents.engine.clocks import Clock
from incidents.engine.finding import Finding
from incidents.selectors import UNKNOWN_PERSON, active_people
from incidents.services.issues import ask_for_issues
from incidents.timestamps import written

#: of one kind and key within FLOOD_WINDOW, whatever became of them
FLOOD_CAP: Final = 3
FLOOD_WINDOW: Final = timedelta(hours=1)

# Subjects go in one order, so that two writers wait for each other and never in a circle. A writer that meets a row of
# another one that has not committed waits for it: a live incident of a subject is never made twice.
# Indexes: one_live_incident_per_key, incident_by_subject.
INSERT = """
INSERT INTO incidents_incident (tenant_id, kind, key, subject, severity, status, summary, details, playbooks, metadata,
                                assigned_to, made_by, created_at, updated_at, next_due_at)
SELECT %(tenant)s::uuid, f.kind, f.key, f.subject, f.severity, 'open', f.summary, f.details,
       ARRAY(SELECT jsonb_array_elements_text(f.playbooks)), f.metadata,
       f.assigned_to, %(by)s::text, %(now)s::timestamptz, %(now)s::timestamptz, f.due
  FROM jsonb_to_recordset(%(rows)s::jsonb)
       AS f(kind text, key text, subject uuid, severity text, summary text, details jsonb, playbooks jsonb,
            metadata jsonb, assigned_to text, due timestamptz)
 WHERE (SELECT count(*) FROM incidents_incident i
         WHERE i.subject = f.subject AND i.created_at > %(since)s::timestamptz) < %(cap)s::int
 ORDER BY f.subject
    ON CONFLICT (subject) WHERE status IN ('open', 'acknowledged', 'mitigated') DO NOTHING
RETURNING subject, id
"""
# Looked at after the insert, when nobody else can make one of these: what was committed meanwhile counts too.
STANDING = """
SELECT f.subject,
       (SELECT i.id FROM incidents_incident i
         WHERE i.subject = f.subject AND i.status IN ('open', 'acknowledged', 'mitigated')),
       recent.made, recent.oldest, recent.newest
  FROM unnest(%(subjects)s::uuid[]) AS f(subject)
 CROSS JOIN LATERAL (
    SELECT count(*) AS made, min(i.created_at) AS oldest, max(i.id) AS newest FROM incidents_incident i
     WHERE i.subject = f.subject AND i.created_at > %(since)s::timestamptz) recent
"""
TAKE_BACK = "DELETE FROM incidents_incident WHERE id = ANY(%s::bigint[])"


@dataclass(frozen=True)
class Reported:
    """What became of one finding: created, deduplicated (``id`` is the live incident's), suppressed or invalid.

    ``retry_after``: in whole seconds, when a suppressed one would be made.
    """

    outcome: str
    id: int | None = None
    faults: tuple[FieldError, ...] = ()
    retry_after: int = 0


@transaction.atomic
def report_incidents(
    *, tenant: Tenant, findings: Sequence[Finding | Invalid], actor: Actor, now: datetime
) -> list[Reported]:
    """Make an incident of each finding that is not known yet; the answer is in the order of ``findings``.

    What could not be read is passed as the Invalid that said so, and becomes ``invalid``. Of findings with one kind
    and key the first counts.
    """
    checked = _with_people(tenant, findings)
    subjects = [_subject(tenant, finding) if isinstance(finding, Finding) else None for finding in checked]
    first: dict[UUID, Finding] = {}
    for subject, finding in zip(subjects, checked, strict=True):
        if subject is not None and isinstance(finding, Finding):
            first.setdefault(subject, finding)
    standing = _insert(tenant, first, by=actor.name, now=now) if first else {}
    made = [reported.id for reported in standing.values() if reported.outcome == "created" and reported.id]
    ask_for_issues(tenant, made, now=now)
    _tell(tenant, standing, first, now=now)
    answers, met = [], set()
    for subject, finding in zip(subjects, checked, strict=True):
        if subject is None:
            answers.append(Reported("invalid", faults=finding.fields if isinstance(finding, Invalid) else ()))
            continue
        is_again = subject in met and standing[subject].outcome == "created"
        answers.append(Reported("deduplicated", standing[subject].id) if is_again else standing[subject])
        met.add(subject)
    return answers


def _subject(tenant: Tenant, finding: Finding) -> UUID:
    named = "\n".join((str(tenant.id), finding.kind, finding.key))
    return UUID(bytes=sha256(named.encode()).digest()[:16])


def _with_people(tenant: Tenant, findings: Sequence[Finding | Invalid]) -> list[Finding | Invalid]:
    """Name people as their rows do, and refuse findings that are assigned to nobody we know."""
    known = active_people(tenant, {f.assigned_to for f in findings if isinstance(f, Finding) and f.assigned_to})
    checked: list[Finding | Invalid] = []
    for finding in findings:
        if isinstance(finding, Finding) and finding.assigned_to:
            person = known.get(finding.assigned_to.lower())
            refused = Invalid(UNKNOWN_PERSON, fields=[FieldError("assigned_to", UNKNOWN_PERSON)])
            checked.append(replace(finding, assigned_to=person) if person else refused)
        else:
            checked.append(finding)
    return checked


def _insert(tenant: Tenant, first: dict[UUID, Finding], *, by: str, now: datetime) -> dict[UUID, Reported]:
    window: dict[str, Any] = {"since": now - FLOOD_WINDOW}
    rows = json.dumps([_row(subject, finding, now) for subject, finding in first.items()], ensure_ascii=False)
    given = {"tenant": tenant.id, "rows": rows, "by": by, "now": now, "cap": FLOOD_CAP}
    with connection.cursor() as cursor:
        cursor.execute(INSERT, window | given)
        made: dict[UUID, int] = dict(cursor.fetchall())
        cursor.execute(STANDING, window | {"subjects": list(first)})
        found = {subject: rest for subject, *rest in cursor.fetchall()}
        standing = {subject: _standing(made.get(subject), *found[subject], now=now) for subject in first}
        too_many = [number for subject, number in made.items() if standing[subject].outcome == "suppressed"]
        if too_many:
            cursor.execute(TAKE_BACK, [too_many])
    return standing


def _standing(
    made: int | None, live: int | None, count: int, oldest: datetime | None, newest: int | None, *, now: datetime
) -> Reported:
    if made is not None and count <= FLOOD_CAP:
        return Reported("created", made)
    if made is None and live is not None:
        return Reported("deduplicated", live)
    if count >= FLOOD_CAP and oldest is not None:
        left = (oldest + FLOOD_WINDOW - now).total_seconds()
        return Reported("suppressed", retry_after=max(1, int(left) + 1))
    # Live when it was met, and closed a moment later.
    return Reported("deduplicated", newest)


def _row(subject: UUID, finding: Finding, now: datetime) -> dict[str, Any]:
    due = Clock(finding.severity, now).next_due()
    return {
        "subject": str(subject),
        "kind": finding.kind,
        "key": finding.key,
        "severity": finding.severity,
        "summary": finding.summary,
        "details": finding.details,
        "playbooks": list(finding.playbooks),
        "metadata": finding.metadata,
        "assigned_to": finding.assigned_to,
        "due": due.isoformat() if due else None,
    }


def _tell(tenant: Tenant, standing: dict[UUID, Reported], first: dict[UUID, Finding], *, now: datetime) -> None:
    told = [
        events.Told(
            "incident_created",
            {
                "id": standing[subject].id,
                "kind": finding.kind,
                "severity": finding.severity,
                "status": "open",
                "summary": finding.summary,
                "created_at": written(now),
            },
        )
        for subject, finding in first.items()
        if standing[subject].outcome == "created"
    ]
    events.record(tenant.id, told, at=now)
