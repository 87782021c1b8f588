"""Executions that fail in every way, with a canary in every kind of secret: none is found anywhere afterwards (I25)."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings as configured
from django.db import connection
from django.test import Client

from accounts.models import Tenant
from accounts.services import create_user, issue_api_key
from config.canary import redis
from connectors.services import save_connection
from core.actors import SYSTEM
from executions.importing import import_playbook
from executions.models import Execution, OutboxMessage, StepRun, WebhookTarget
from executions.services import set_webhook_secret, start_execution
from playbooks.cacao.types import Step, StepType, Workflow
from tests.connectors.servers import Reply, Server, echo
from tests.executions.acting import post, state
from tests.factories import NOON
from tests.faults.nursery import Nursery, nursery
from tests.flows.starting import make_tenant, start_workflow
from tests.playbooks.documents import AGENT, CALL, with_password

TOKEN, PASSWORD, DOCUMENT, WEBHOOK, LOGIN = (
    f'cAn4ry"/+<&>{kind}Zq9' for kind in ("token", "password", "document", "webhook", "login")
)

TEXTS = """
SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
  JOIN information_schema.tables t USING (table_schema, table_name)
 WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
   AND c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY', 'character')
"""


def forms(secret: str) -> set[str]:
    """A secret in plain and in the encodings in which it is sent, shown or stored."""
    octets = secret.encode()
    return {
        secret,
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
        quote(quote(secret, safe=""), safe=""),
        html.escape(secret),
        octets.hex(),
        octets.hex().upper(),
        *(_base64(lead + octets) for lead in (b"", b"x", b"xy")),
        _base64(secret.encode("utf-16-le")),
        base64.urlsafe_b64encode(octets).decode().rstrip("=")[:-1],
    }


def _base64(octets: bytes) -> str:
    """The characters that do not depend on what stands before or behind."""
    return base64.b64encode(octets).decode().rstrip("=")[4:-2]


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return make_tenant()


@pytest.fixture
def nest(tenant: Tenant) -> Iterator[Nursery]:
    with nursery() as found:
        yield found


def calls(connection_name: str) -> Workflow:
    """Three calls that fail, are cut and succeed, and one that nobody is there for."""
    names = ["failing", "cut", "echoing"]
    steps = [Step(id="start", type=StepType.START, on_completion=names[0])]
    for name, following in zip(names, [*names[1:], "end"], strict=True):
        step = post(name, f"/{name}", on_success=following, on_failure=following)
        assert step.operation is not None
        step.operation.parameters["connection"] = connection_name  # type: ignore[index]
        steps.append(step)
    steps.append(Step(id="end", type=StepType.END))
    return Workflow(start="start", steps={step.id: step for step in steps}, dialect="s4e")


def lay_canaries(tenant: Tenant, server: Server) -> None:
    common: dict[str, Any] = {
        "tenant": tenant, "kind": "http", "url": server.url, "allow_networks": ("127.0.0.0/8",), "hosts": (),
        "now": NOON,
    }  # fmt: skip
    save_connection(**common, name="by token", secrets={"token": TOKEN}, settings={}, keyed=True)
    save_connection(**common, name="by password", secrets={"password": PASSWORD}, settings={"user": "me"}, keyed=False)
    target = WebhookTarget.objects.create(tenant=tenant, url=f"{server.url}/hook", allow_networks=["127.0.0.0/8"])
    set_webhook_secret(target=target, secret=WEBHOOK)


def import_with_literal(tenant: Tenant, server: Server) -> Execution:
    document = with_password(DOCUMENT)
    document["agent_definitions"][AGENT]["address"] = {"url": [server.url]}
    document["workflow"][CALL]["commands"][0]["command"] = "POST /literal HTTP/1.1"
    version, _ = import_playbook(
        tenant=tenant, octets=json.dumps(document).encode(), mode="new", actor=SYSTEM, now=NOON, level="lenient"
    )
    return start_execution(tenant=tenant, version=version, inputs={"variables": {}}, actor=SYSTEM, now=NOON)


def in_the_tables(secrets: Sequence[str]) -> list[str]:
    """Where any form of a secret stands in any column that can hold text."""
    wanted = [form for secret in secrets for form in forms(secret)]
    found = []
    with connection.cursor() as cursor:
        cursor.execute(TEXTS)
        columns = cursor.fetchall()
        assert len(columns) > 100
        for table, column, kind in columns:
            shown, given = f'"{column}"::text', "f"
            if kind == "bytea":
                shown, given = f'"{column}"', "convert_to(f, 'UTF8')"
            wide = f'unnest(%s::text[]) wanted(f), "{table}"'
            asked = f"SELECT DISTINCT f FROM {wide} WHERE position({given} in {shown}) > 0"
            cursor.execute(asked, (wanted,))
            found += [f"{table}.{column}: {form}" for (form,) in cursor.fetchall()]
    return found


def in_the_broker() -> str:
    broker: Any = redis()
    read = {
        b"string": broker.get,
        b"list": lambda key: broker.lrange(key, 0, -1),
        b"hash": broker.hgetall,
        b"set": broker.smembers,
        b"zset": lambda key: broker.zrange(key, 0, -1),
    }
    keys = list(broker.scan_iter(f"{configured.SALLYPORT_REDIS_PREFIX}*"))
    kinds = {key: broker.type(key) for key in keys}
    return repr([(key, read[kind](key)) for key, kind in kinds.items() if kind in read])


@pytest.mark.slow
def test_no_secret_is_found_anywhere_after_executions_that_fail(
    tenant: Tenant, nest: Nursery, settings: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    owner = create_user(tenant=tenant, email="owner@canary.example", password=LOGIN, role="viewer", now=NOON)
    _, api_key = issue_api_key(tenant=tenant, owner=owner, name="canary", now=NOON)
    with echo() as server:
        lay_canaries(tenant, server)
        executions = [start_workflow(tenant, calls(name)) for name in ("by token", "by password")]
        executions.append(import_with_literal(tenant, server))
        published = in_the_broker()
        nest.start("sweep")
        nest.start("work", threads=4)
        server.answers.extend(Reply(manner=manner, status=500) for manner in ("cut", "half", "plain"))
        nest.until(lambda: all(_rests(execution) for execution in executions), "all have ended or wait")
        nest.until(lambda: not OutboxMessage.objects.filter(sent_at=None, tries=0).exists(), "the webhooks are sent")
        seen = repr([(received.header_list, received.body) for received in server.requests])
        published += in_the_broker()
        exported = "".join(_exports(api_key, execution) for execution in executions)

    for secret in (f"Bearer {TOKEN}", base64.b64encode(f"me:{PASSWORD}".encode()).decode()):
        assert secret in seen, "a secret that was never used proves nothing"
    logged = nest.logs() + caplog.text
    secrets = (TOKEN, PASSWORD, DOCUMENT, WEBHOOK, LOGIN, api_key)
    assert in_the_tables(secrets) == []
    assert in_the_tables([owner.email]), "a search that finds nothing proves nothing"
    for secret in secrets:
        for place, text in (("broker", published), ("logs", logged), ("exports", exported)):
            assert [form for form in forms(secret) if form in text] == [], place


def _rests(execution: Execution) -> bool:
    waits = not StepRun.objects.filter(execution=execution, status__in=("pending", "running", "retrying")).exists()
    return waits or state(execution)[0] in ("completed", "failed")


def _exports(api_key: str, execution: Execution) -> str:
    """What people are given of a playbook and of a run of it, in every family that has it."""
    client = Client(headers={"authorization": f"Bearer {api_key}"})
    paths = [f"/api/playbooks/executions/{execution}", f"/reporter/{execution.pk}"]
    if execution.dialect == "cacao":  # the others have no document
        paths += [f"/playbook/{execution.playbook.cacao_id}", f"/api/playbooks/pb-{execution.playbook.slug}/export"]
    answers = [client.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200] * len(paths), [answer.content for answer in answers]
    return "".join(answer.content.decode() for answer in answers)
