"""Does what was asked of issue trackers: at least once, again after a failure, and nothing twice that can be found."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, QuerySet

from core.clock import database_now
from incidents.models import Incident, Note
from incidents.outside import CallFailed
from incidents.outside_models import IssueTask, IssueTracker
from incidents.trackers import tracker_of

log = logging.getLogger(__name__)

TRIES: Final = 8
#: longer than all calls of one task together
TAKEN: Final = timedelta(minutes=3)
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(hours=1)
AT_ONCE: Final = 20


def file_due() -> int:
    """Do what is due, one after the other; return how much was done."""
    done = 0
    for _ in range(AT_ONCE):
        task = _take()
        if task is None:
            break
        done += _do(task)
    return done


def _take() -> IssueTask | None:
    """Take the next one for a while, so that two sweeps do not do it at once. Index issue_task_due."""
    with transaction.atomic():
        now = database_now()
        due = IssueTask.objects.select_for_update(skip_locked=True, of=("self",)).filter(ended_at=None, due_at__lte=now)
        task = due.select_related("incident").order_by("due_at").first()
        if task is not None:
            task.tries += 1
            _row(task).update(due_at=now + TAKEN, tries=F("tries") + 1)
    return task


def _do(task: IssueTask) -> bool:
    try:
        said = _carry_out(task)
    except CallFailed as failure:
        _failed(task, str(failure), is_final=failure.is_final)
        return False
    except Exception as error:
        # One that cannot be made (a token that no longer opens) keeps no other from being done.
        log.exception("issue.broken", extra={"task": str(task.pk)})
        _failed(task, f"it could not be asked ({type(error).__name__})", is_final=False)
        return False
    if said is not None:
        _end(task, said)
    return said is not None


def _carry_out(task: IssueTask) -> str | None:
    """Return what the timeline says of it; "" for nothing, None where it is to be looked at again."""
    row = IssueTracker.objects.filter(tenant_id=task.tenant_id, is_enabled=True).first()
    if row is None:
        raise CallFailed("there is none any more", is_final=True)
    incident = task.incident
    if task.verb == "open":
        return _open(task, incident, row)
    if incident.issue_url is None:
        if IssueTask.objects.filter(incident=incident, verb="open", ended_at=None).exists():
            _row(task).update(due_at=database_now() + FIRST_WAIT, tries=F("tries") - 1)
            return None
        return ""
    tracker_of(row).resolve(incident.issue_url, task.text)
    return f"Closed {incident.issue_url}."


def _open(task: IssueTask, incident: Incident, row: IssueTracker) -> str:
    tracker = tracker_of(row)
    # An opening that was not answered may have happened.
    known = tracker.find(incident, task.pk) if task.tries > 1 else None
    url = known or tracker.open(incident, task.pk)
    Incident.objects.filter(pk=incident.pk).update(issue_url=url)
    return f"Opened {url}."


def _failed(task: IssueTask, why: str, *, is_final: bool) -> None:
    """Say so on the timeline, once at first and once at the end; otherwise try again later."""
    is_over = is_final or task.tries >= TRIES
    text = f"The issue tracker was not told ({task.verb}): {why}."
    if is_over:
        _end(task, f"{text} It is not tried again.", error=why)
        return
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (task.tries - 1))
    later = database_now() + wait
    if task.tries == 1:
        _note(task, f"{text} It is tried again.")
    _row(task).update(due_at=later, last_error=why[:300])
    # A tracker that does not answer is not asked for each incident in turn: others have theirs.
    IssueTask.objects.filter(tenant_id=task.tenant_id, ended_at=None, due_at__lt=later).update(due_at=later)


@transaction.atomic
def _end(task: IssueTask, said: str, *, error: str = "") -> None:
    if _row(task).filter(ended_at=None).update(ended_at=database_now(), last_error=error[:300]) and said:
        _note(task, said)


def _note(task: IssueTask, text: str) -> None:
    Note.objects.create(incident_id=task.incident_id, verb="issue", by="system", at=database_now(), text=text)


def _row(task: IssueTask) -> QuerySet[IssueTask]:
    return IssueTask.objects.filter(pk=task.pk)
