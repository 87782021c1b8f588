"""Asks for an issue in the tenant's tracker, in the transaction of what it is about. ``incidents.filing`` does it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from accounts.models import Tenant
from core.keyring import keyring
from core.secrets import SecretContext, seal
from incidents.models import Incident
from incidents.outside_models import IssueTask, IssueTracker, SignalSource


def ask_for_issues(tenant: Tenant, incidents: Sequence[int], *, now: datetime) -> None:
    """An incident of a tenant without a tracker gets no issue, also not when a tracker is set up later."""
    if not incidents or not IssueTracker.objects.filter(tenant=tenant, is_enabled=True).exists():
        return
    IssueTask.objects.bulk_create(
        IssueTask(tenant=tenant, incident_id=number, verb="open", created_at=now, due_at=now) for number in incidents
    )


def ask_to_resolve(incident: Incident, *, text: str, by: str, now: datetime) -> None:
    """Have the incident's issue commented and closed, if it has one or is to get one."""
    if incident.issue_url is None and not IssueTask.objects.filter(incident=incident, ended_at=None).exists():
        return
    said = f"Resolved by {by}." + (f"\n\n{text}" if text else "")
    task = IssueTask(
        tenant_id=incident.tenant_id, incident=incident, verb="resolve", text=said, created_at=now, due_at=now
    )
    IssueTask.objects.bulk_create([task], ignore_conflicts=True)


def set_outside_token(*, row: IssueTracker | SignalSource, token: str) -> None:
    """Seal the token that a tracker or a source is called with; "" takes it away. It is never shown again."""
    row.sealed_token = seal(token, context=token_context(row), keyring=keyring()) if token else ""
    type(row).objects.filter(pk=row.pk).update(sealed_token=row.sealed_token)


def token_context(row: IssueTracker | SignalSource) -> SecretContext:
    return SecretContext(tenant=str(row.tenant_id), table=row._meta.db_table, row=str(row.pk), field="token")
