"""Questions put to people, each by an execution of its own with a step run that waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from accounts.models import Tenant
from accounts.services import create_tenant
from core.actors import Actor, ActorKind
from executions.models import Execution, Scope, StepRun
from manual.models import ManualRequest
from manual.services import open_request
from playbooks.models import Playbook, PlaybookVersion

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
STEP = "action--b1b1b1b1-0000-4000-8000-00000000000a"
PLAYBOOK = "playbook--a1a1a1a1-0000-4000-8000-000000000001"
OUT_ARGS = {
    "__decision__": {
        "type": "string",
        "name": "__decision__",
        "description": "",
        "value": None,
        "constant": False,
        "external": False,
    }
}


def make_tenant() -> Tenant:
    return create_tenant(slug=f"t-{uuid4().hex[:12]}", name="A tenant", now=NOON)


def actor(*permissions: str, name: str = "ada@example.org", roles: tuple[str, ...] = ()) -> Actor:
    return Actor(kind=ActorKind.KEY, id=name, name=name, permissions=frozenset(permissions), roles=frozenset(roles))


RESPONDER = actor("manual:read", "manual:respond")


def waiting_step(tenant: Tenant, step_id: str = STEP) -> StepRun:
    """A step run that waits in an execution of its own, as the engine would have left it."""
    playbook = Playbook.objects.create(
        tenant=tenant, slug=f"p-{uuid4().hex}", cacao_id=f"playbook--{uuid4()}", name="P", dialect="cacao",
        created_at=NOON, updated_at=NOON,
    )  # fmt: skip
    version = PlaybookVersion.objects.create(
        playbook=playbook, tenant=tenant, number=1, label="1", dialect="cacao", document=b"{}", jcs_digest="",
        workflow="{}", modified_at=NOON, created_at=NOON,
    )  # fmt: skip
    execution = Execution.objects.create(
        tenant=tenant, version=version, playbook=playbook, status="paused", created_at=NOON, started_at=NOON
    )
    scope = Scope.objects.create(id=uuid4(), execution=execution)
    return StepRun.objects.create(
        id=uuid4(), execution=execution, tenant=tenant, scope=scope, step_id=step_id, step_type="action",
        kind="request", position=1, status="waiting", created_at=NOON,
    )  # fmt: skip


def ask(tenant: Tenant, **given: Any) -> ManualRequest:
    """Open a request for a tenant; every argument of `open_request` may be given."""
    run = given.pop("step_run", None) or waiting_step(tenant, given.get("step_id", STEP))
    values: dict[str, Any] = {
        "step_id": run.step_id,
        "playbook_cacao_id": PLAYBOOK,
        "kind": "input",
        "text": "decide",
        "out_args": OUT_ARGS,
        "now": NOON,
    }
    return open_request(tenant_id=tenant.pk, execution_id=run.execution_id, step_run_id=run.pk, **(values | given))
