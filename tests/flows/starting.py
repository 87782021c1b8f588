"""Tenants, and playbooks that are stored from compiled workflows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from accounts.models import Tenant
from core.actors import SYSTEM
from executions.models import Execution
from executions.services import start_execution
from playbooks.cacao.types import Workflow
from playbooks.services import store_dialect
from tests.factories import NOON, TenantFactory

Start = Callable[..., Execution]


def make_tenant() -> Tenant:
    made: Tenant = TenantFactory(slug=f"t-{uuid4().hex[:8]}", name="Test tenant")
    return made


def start_workflow(
    tenant: Tenant, workflow: Workflow, *, script: dict[str, Any] | None = None, **options: Any
) -> Execution:
    """Store a workflow and start it; ``script`` is what the fake connector plays, by step."""
    version = store_dialect(
        tenant=tenant,
        octets=b"{}",
        dialect=workflow.dialect,
        workflow=workflow,
        slug=f"p-{uuid4().hex[:12]}",
        name="Test playbook",
        description="",
        label="1.0.0",
        trigger={},
        tags=[],
        step_count=len(workflow.steps),
        cacao_id=f"playbook--{uuid4()}",
        actor=SYSTEM,
        now=NOON,
    )
    if script is not None:
        options["script"] = {"steps": script}
    return start_execution(
        tenant=tenant, version=version, inputs={"variables": {}}, options=options, actor=SYSTEM, now=NOON
    )
