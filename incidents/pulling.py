"""The watcher: pulls signals from the addresses that tenants have set up, and makes incidents of them."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from core.actors import Actor, ActorKind
from core.clock import database_now
from core.errors import Invalid
from incidents.engine.finding import Finding
from incidents.engine.signals import read_signal
from incidents.outside import CallFailed, call, token_of
from incidents.outside_models import SignalSource
from incidents.services.ingesting import report_incidents

log = logging.getLogger(__name__)

WATCHER: Final = Actor(kind=ActorKind.SYSTEM, id="watcher", name="watcher")
MOST: Final = 1_000
AT_ONCE: Final = 20


def pull_due() -> int:
    """Ask each source that is due; return how many incidents were made."""
    made = 0
    for _ in range(AT_ONCE):
        source = _take()
        if source is None:
            break
        made += _pull(source)
    return made


def _take() -> SignalSource | None:
    """Take the next source and put off its next turn, so that two sweeps do not ask it at once."""
    with transaction.atomic():
        now = database_now()
        due = SignalSource.objects.select_for_update(skip_locked=True, of=("self",)).select_related("tenant")
        due = due.filter(Q(next_at=None) | Q(next_at__lte=now), is_enabled=True, tenant__is_active=True)
        source = due.order_by("next_at", "id").first()
        if source is not None:
            later = now + timedelta(seconds=source.period_seconds)
            SignalSource.objects.filter(pk=source.pk).update(next_at=later)
    return source


def _pull(source: SignalSource) -> int:
    made, error = 0, ""
    try:
        findings = _findings(source, now=database_now())
        reported = report_incidents(tenant=source.tenant, findings=findings, actor=WATCHER, now=database_now())
        made = sum(one.outcome == "created" for one in reported)
        wrong = [index for index, one in enumerate(reported) if one.outcome == "invalid"]
        if wrong:
            error = (
                f"{len(wrong)} signals could not be read, the first is number {wrong[0]}: {_fault(findings[wrong[0]])}"
            )
    except CallFailed as failure:
        error = str(failure)
    except Exception as failed:
        log.exception("source.broken", extra={"source": str(source.pk)})
        error = f"it could not be asked ({type(failed).__name__})"
    SignalSource.objects.filter(pk=source.pk).update(last_pulled_at=database_now(), last_error=error[:300])
    return made


def _findings(source: SignalSource, *, now: datetime) -> list[Finding | Invalid]:
    headers = {"Authorization": f"Bearer {token_of(source)}"} if source.sealed_token else {}
    answer = call("GET", source.url, headers=headers, allow_networks=source.allow_networks)
    signals = answer.get("signals") if isinstance(answer, dict) else None
    if not isinstance(signals, list) or len(signals) > MOST:
        raise CallFailed(f'its answer is not {{"signals": [...]}} with {MOST} of them at most')
    return [_read(signal, now) for signal in signals]


def _read(signal: Any, now: datetime) -> Finding | Invalid:
    try:
        return read_signal(signal, source="watcher", now=now)
    except Invalid as error:
        return error


def _fault(finding: Finding | Invalid) -> str:
    return finding.message if isinstance(finding, Invalid) else ""
