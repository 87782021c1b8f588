"""Events start executions: one event starts one execution a playbook at most, however often it is delivered."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import Tenant
from core.actors import Actor, ActorKind
from core.errors import DomainError
from core.models import uuid7
from executions.engine.triggers import matches
from executions.matching import re2_search
from executions.models import Execution
from executions.services.starting import start_execution
from playbooks import selectors as playbooks
from playbooks.models import Trigger

log = logging.getLogger(__name__)


def emit_event(
    *, tenant: Tenant, event: str, data: Mapping[str, Any], now: datetime, event_id: str | None = None
) -> list[Execution]:
    """Start every enabled playbook whose trigger answers to this event; return the executions.

    ``event`` is a word of contracts/s4e.md (``finding.new``); its steps see ``data`` under the word before the dot.
    The same ``event_id`` again gives the same executions.
    """
    event_id = event_id or str(uuid7())
    started = []
    for trigger in playbooks.list_triggers(tenant, event):
        if not matches(trigger.conditions, data, re2_search):
            continue
        try:
            started.append(_start(tenant, trigger, event, data, event_id, now))
        except DomainError as error:
            # A playbook that may not start keeps no other from starting.
            log.warning("trigger.refused", extra={"trigger": str(trigger.pk), "code": error.code})
    return started


def _start(
    tenant: Tenant, trigger: Trigger, event: str, data: Mapping[str, Any], event_id: str, now: datetime
) -> Execution:
    version = playbooks.latest_version(trigger.playbook)
    inputs: dict[str, Any] = {}
    if version.dialect == "s4e":
        workflow = playbooks.workflow_of(version)
        inputs = {**playbooks.start_values(workflow, {}), "asset": None, event.partition(".")[0]: dict(data)}
    return start_execution(
        tenant=tenant,
        version=version,
        inputs=inputs,
        actor=Actor(kind=ActorKind.TRIGGER, id=str(trigger.pk), name=event),
        start_key=_start_key(trigger.pk, event_id),
        start_digest=hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest(),
        now=now,
    )


def _start_key(trigger: UUID, event_id: str) -> str:
    return hashlib.sha256(f"trigger|{trigger}|{event_id}".encode()).hexdigest()
