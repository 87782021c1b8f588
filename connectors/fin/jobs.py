"""The rows of jobs: written down, opened for the fin that has one, emptied when it is over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from connectors.base import EffectClass
from connectors.fin.models import FinJob, FinTransport
from core.clock import database_now
from core.keyring import keyring
from core.models import uuid7
from core.secrets import Secret, SecretContext, open_sealed, seal

_FIELD: Final = "sealed_secrets"
#: in place of secrets that are not kept any more
GONE: Final = "gone"


def offer(
    *,
    tenant_id: UUID,
    execution_id: UUID,
    step_run_id: UUID,
    fence: int,
    transport: FinTransport,
    capability: str,
    effect: EffectClass,
    body: Mapping[str, Any],
    secrets: Mapping[str, Secret],
) -> None:
    """Write down the job of one attempt, once. ``secrets``: ``<target index>.<property>`` -> secret."""
    job_id = uuid7()
    sealed = ""
    if secrets:
        plain = json.dumps({name: secret.reveal() for name, secret in secrets.items()})
        sealed = seal(plain, context=_context(tenant_id, job_id), keyring=keyring())
    FinJob.objects.get_or_create(
        step_run_id=step_run_id,
        fence=fence,
        defaults={
            "id": job_id,
            "tenant_id": tenant_id,
            "execution_id": execution_id,
            "transport": transport,
            "capability": capability,
            "effect": effect.value,
            "body": dict(body),
            "sealed_secrets": sealed,
            "created_at": database_now(),
        },
    )


def secrets_of(job: FinJob) -> dict[str, str]:
    """Return the secrets of a job, ``<target index>.<property>`` -> value, for the fin that has it.

    Raises SecretUnreadable, MasterKeyMissing.
    """
    if job.sealed_secrets in ("", GONE):
        return {}
    opened = open_sealed(job.sealed_secrets, context=_context(job.tenant_id, job.pk), keyring=keyring())
    found: dict[str, str] = json.loads(opened.reveal())
    return found


def end(job: FinJob, state: str, **more: Any) -> None:
    """A job is over: nothing of what was to be done is kept."""
    sealed = GONE if job.sealed_secrets else ""
    FinJob.objects.filter(pk=job.pk).update(
        state=state, body={}, sealed_secrets=sealed, lease_until=None, values={}, progress="", **more
    )


def _context(tenant_id: UUID, job_id: UUID) -> SecretContext:
    return SecretContext(str(tenant_id), "connectors_finjob", str(job_id), _FIELD)
