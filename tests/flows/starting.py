"""Tenants, and playbooks that are stored from compiled workflows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from accounts.models import Tenant
from core.actors import SYSTEM, Actor
from executions.models import Execution
from executions.services import start_execution
from playbooks.cacao.types import Workflow
from playbooks.models import PlaybookVersion
from playbooks.services import store_dialect
from tests.factories import NOON, TenantFactory

Start = Callable[..., Execution]


def make_tenant() -> Tenant:
    made: Tenant = TenantFactory(slug=f"t-{uuid4().hex[:8]}", name="Test tenant")
    return made


def store_workflow(
    tenant: Tenant, workflow: Workflow, *, cacao_id: str = "", actor: Actor = SYSTEM, **more: Any
) -> PlaybookVersion:
    """Store a compiled workflow as a playbook of its own; ``more`` is what `store_dialect` takes."""
    given: dict[str, Any] = {"trigger": {}, "slug": f"p-{uuid4().hex[:12]}", "label": "1.0.0", **more}
    return store_dialect(
        tenant=tenant,
        octets=b"{}",
        dialect=workflow.dialect,
        workflow=workflow,
        name="Test playbook",
        description="",
        tags=[],
        step_count=len(workflow.steps),
        cacao_id=cacao_id or f"playbook--{uuid4()}",
        actor=actor,
        now=NOON,
        **given,
    )


def start_workflow(
    tenant: Tenant, workflow: Workflow, *, script: dict[str, Any] | None = None, **options: Any
) -> Execution:
    """Store a workflow and start it; ``script`` is what the fake connector plays, by step."""
    version = store_workflow(tenant, workflow)
    if script is not None:
        options["script"] = {"steps": script}
    return start_execution(
        tenant=tenant, version=version, inputs={"variables": {}}, options=options, actor=SYSTEM, now=NOON
    )
