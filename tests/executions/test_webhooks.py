"""Outgoing webhooks: signed, at least once, to the tenant's own targets."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from accounts.models import Tenant
from executions.delivering import deliver_due
from executions.models import OutboxMessage, WebhookTarget
from executions.services import set_webhook_secret
from executions.statements import database_now
from tests.connectors.servers import Reply, echo
from tests.engine.test_decide import act, end, flow
from tests.flows.starting import Start, make_tenant

SECRET = "a-secret-of-thirty-two-octets-x"


def _due_now() -> None:
    OutboxMessage.objects.update(due_at=database_now())


def test_the_start_and_the_end_are_told_to_the_tenants_own_targets(
    start: Start, tenant: Tenant, run_to_end: Any, settings: Any
) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    with echo() as server:
        target = WebhookTarget.objects.create(tenant=tenant, url=f"{server.url}/hook", allow_networks=["127.0.0.0/8"])
        WebhookTarget.objects.create(tenant=make_tenant(), url=f"{server.url}/other", allow_networks=["127.0.0.0/8"])
        set_webhook_secret(target=target, secret=SECRET)
        execution = run_to_end(start(flow(act("a", on_success="end"), end(), first="a"), script={}))
        assert deliver_due() == 2

    assert [(r.path, r.json["event"]) for r in server.requests] == [
        ("/hook", "playbook.started"),
        ("/hook", "playbook.completed"),
    ]
    told = server.requests[-1]
    assert told.json["data"]["execution_id"] == f"pexec-{execution.number}"
    expected = "sha256=" + hmac.new(SECRET.encode(), told.body, hashlib.sha256).hexdigest()
    assert told.headers["x-s4e-signature"] == expected


def test_what_was_not_taken_is_sent_again(start: Start, tenant: Tenant, settings: Any) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    with echo() as server:
        WebhookTarget.objects.create(tenant=tenant, url=server.url, allow_networks=["127.0.0.0/8"])
        server.answers.append(Reply(status=503))
        start(flow(act("a", on_success="end"), end(), first="a"), script={})
        assert deliver_due() == 0
        assert "503" in OutboxMessage.objects.get().last_error
        _due_now()
        assert deliver_due() == 1

    assert server.requests[0].json["id"] == server.requests[1].json["id"]


def test_a_loopback_target_that_the_deployment_does_not_list_is_not_called(start: Start, tenant: Tenant) -> None:
    with echo() as server:
        WebhookTarget.objects.create(tenant=tenant, url=server.url, allow_networks=["127.0.0.0/8"])
        start(flow(act("a", on_success="end"), end(), first="a"), script={})
        assert deliver_due() == 0

    assert server.requests == []
    assert OutboxMessage.objects.get().last_error != ""


def test_the_secret_is_sealed_and_kept_out_of_the_row(tenant: Tenant) -> None:
    target = WebhookTarget.objects.create(tenant=tenant, url="https://hooks.example.org/x")
    set_webhook_secret(target=target, secret=SECRET)

    target.refresh_from_db()
    assert target.sealed_secret
    assert SECRET not in target.sealed_secret
