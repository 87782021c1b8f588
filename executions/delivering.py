"""Delivers the outbox: outgoing webhooks, at least once, signed, through the guarded client."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from connectors import webhooks
from core import failpoints
from core.keyring import keyring
from core.secrets import open_sealed
from executions.models import Execution, OutboxMessage, WebhookTarget
from executions.services.telling import secret_context
from executions.statements import database_now

log = logging.getLogger(__name__)

#: sent one after the other, each within 11 s: fewer than are over when they count as due again
BATCH = 5
TRIES = 12
LONGEST = timedelta(hours=1)


def deliver_due() -> int:
    """Send what is due; return how many were delivered. What fails is due again later, doubling up to an hour."""
    delivered = 0
    for message in _take():
        error = _sent(message)
        failpoints.reach("after_outbox_send")
        now = database_now()
        if error is None:
            OutboxMessage.objects.filter(pk=message.pk).update(sent_at=now, last_error="")
            delivered += 1
        else:
            wait = min(LONGEST, timedelta(seconds=5) * 2 ** min(message.tries, 12))
            OutboxMessage.objects.filter(pk=message.pk).update(due_at=now + wait, last_error=error[:300])
    return delivered


def _sent(message: OutboxMessage) -> str | None:
    """Send; one message that cannot be made (a secret that no longer opens) keeps no other from being sent."""
    try:
        return _send(message)
    except Exception as error:
        log.exception("outbox.broken", extra={"message_id": str(message.pk)})
        return f"could not be made: {type(error).__name__}"


def _take() -> list[OutboxMessage]:
    """Take what is due for a minute, so that two sweepers do not send the same one at once."""
    with transaction.atomic():
        due = (
            OutboxMessage.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("target")
            .filter(sent_at=None, due_at__lte=database_now(), tries__lt=TRIES, target__is_enabled=True)
            .order_by("due_at")[:BATCH]
        )
        messages = list(due)
        if messages:
            later = database_now() + timedelta(minutes=1)
            ids = [message.pk for message in messages]
            OutboxMessage.objects.filter(pk__in=ids).update(due_at=later, tries=F("tries") + 1)
    return messages


def _send(message: OutboxMessage) -> str | None:
    body = json.dumps(_body(message)).encode()
    headers = {"Content-Type": "application/json"}
    if message.target.sealed_secret:
        headers["X-S4E-Signature"] = "sha256=" + _signature(message.target, body)
    return webhooks.post(message.target.url, body=body, headers=headers, allow_networks=message.target.allow_networks)


def _body(message: OutboxMessage) -> dict[str, Any]:
    """The webhook's body as contracts/s4e.md has it."""
    execution = Execution.objects.select_related("playbook").get(pk=message.body["execution"])
    return {
        "id": f"evt-{message.pk}",
        "event": message.event,
        "created_at": message.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": {
            "execution_id": f"pexec-{execution.number}",
            "playbook_id": f"pb-{execution.playbook.slug}",
            "status": message.body["status"],
        },
    }


def _signature(target: WebhookTarget, body: bytes) -> str:
    secret = open_sealed(target.sealed_secret, context=secret_context(target), keyring=keyring())
    return hmac.new(secret.reveal().encode(), body, hashlib.sha256).hexdigest()
