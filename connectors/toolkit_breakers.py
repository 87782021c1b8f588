"""The breaker of a tenant's toolkit: after actions in a row that ended failed, no more are made for a while.

It counts actions, each with all its tries, where the breaker of a connection counts calls. It opens after
``SALLYPORT_BREAKER_FAILURES``, lets one action try after ``SALLYPORT_BREAKER_PAUSE``, and closes with one success.
"""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F

from connectors.toolkit_models import ToolkitBreaker
from core.clock import database_now


def is_open(tenant_id: UUID, toolkit: str) -> bool:
    """Whether no action may be made now. Takes no turn."""
    return ToolkitBreaker.objects.filter(tenant_id=tenant_id, toolkit=toolkit, next_at__gt=database_now()).exists()


@transaction.atomic
def take_turn(tenant_id: UUID, toolkit: str) -> bool:
    """Whether an action may be made; where the breaker is half open, the turn to try is taken with it."""
    found = ToolkitBreaker.objects.select_for_update().filter(tenant_id=tenant_id, toolkit=toolkit).first()
    if found is None or found.next_at is None:
        return True
    now = database_now()
    if found.next_at > now:
        return False
    # Whoever tries and is lost keeps the others waiting for one pause, no longer.
    ToolkitBreaker.objects.filter(pk=found.pk).update(next_at=now + settings.SALLYPORT_BREAKER_PAUSE)
    return True


@transaction.atomic
def note_failure(tenant_id: UUID, toolkit: str) -> None:
    found, _ = ToolkitBreaker.objects.select_for_update().get_or_create(tenant_id=tenant_id, toolkit=toolkit)
    is_open = found.failures + 1 >= settings.SALLYPORT_BREAKER_FAILURES
    next_at = database_now() + settings.SALLYPORT_BREAKER_PAUSE if is_open else None
    ToolkitBreaker.objects.filter(pk=found.pk).update(failures=F("failures") + 1, next_at=next_at)


def note_success(tenant_id: UUID, toolkit: str) -> None:
    ToolkitBreaker.objects.filter(tenant_id=tenant_id, toolkit=toolkit, failures__gt=0).update(failures=0, next_at=None)
