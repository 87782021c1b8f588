"""How fins and their jobs are told over HTTP, in both generations of this family's names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from api.soarca.outputs import execution_names, moment, step_names
from connectors.fin.models import Fin, FinCapability
from connectors.fin.selectors import is_live
from executions.services.fin_jobs import Handed
from playbooks.cacao.types import Variable


def registered(fin: Fin, token: str) -> dict[str, Any]:
    return {
        "fin_id": str(fin.pk),
        "fin_token": token,
        "poll_interval_seconds": whole(settings.FIN_POLL_INTERVAL),
        "long_poll_timeout_seconds": whole(settings.FIN_LONG_POLL_TIMEOUT),
        "job_lease_seconds": whole(settings.FIN_JOB_LEASE),
    }


def fin(found: Fin, *, now: datetime) -> dict[str, Any]:
    """A registered fin; its token is known to itself only. ``transport`` and ``name`` are ours."""
    return {
        "fin_id": str(found.pk),
        "display_name": found.display_name or found.name,
        "protocol_version": found.protocol_version,
        "capabilities": [_capability(capability) for capability in found.capabilities.all()],
        "registered_at": moment(found.registered_at),
        "last_seen": moment(found.seen_at),
        "stale": not is_live(found, now=now),
        "transport": found.transport,
        "name": found.name,
    }


def _capability(found: FinCapability) -> dict[str, Any]:
    given = found.given
    return {
        "type": found.key,
        "name": found.name,
        "description": given.get("description"),
        "version": given.get("version"),
        "step_examples": given.get("step_examples"),
    }


def job(handed: Handed) -> dict[str, Any]:
    row, run, step = handed.job, handed.run, handed.step
    return {
        "job_id": str(row.pk),
        **execution_names(run.execution_id),
        "playbook_id": handed.playbook_id,
        **step_names(run.step_id, run.pk),
        "capability_type": row.capability,
        "lease_expires_in_seconds": whole(settings.FIN_JOB_LEASE),
        "step": {
            "name": step.name,
            "description": step.description,
            "timeout": whole(step.timeout),
            "delay": whole(step.delay or None),
        },
        "commands": list(handed.commands),
        "targets": list(handed.targets),
        "variables": {name: variable(name, *found) for name, found in handed.variables.items()},
    }


def variable(name: str, declared: Variable, value: Any) -> dict[str, Any]:
    return {
        "type": declared.type,
        "name": name,
        "description": declared.description,
        "value": value,
        "constant": declared.constant,
        "external": declared.external,
    }


def whole(span: timedelta | None) -> Any:
    """Whole seconds, rounded up; None for none."""
    return None if span is None else -(-span // timedelta(seconds=1))


def listed(fins: list[Fin], *, now: datetime) -> Mapping[str, Any]:
    return {"fins": [fin(found, now=now) for found in fins]}
