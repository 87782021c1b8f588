"""Callers of several roles, and playbooks that ask a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote
from uuid import uuid4

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import Tenant
from accounts.services import create_tenant, create_user, issue_api_key
from executions.models import Execution
from tests.flows.driving import drive

STEP = "action--b1b1b1b1-0000-4000-8000-00000000000a"
AFTER_FAILURE = "action--b1b1b1b1-0000-4000-8000-00000000000b"
TARGET = "individual--c1c1c1c1-0000-4000-8000-000000000001"
AGENT = "individual--c1c1c1c1-0000-4000-8000-000000000002"
START = "start--b1b1b1b1-0000-4000-8000-000000000001"
END = "end--b1b1b1b1-0000-4000-8000-000000000002"

Json = dict[str, Any]


@dataclass(frozen=True)
class Api:
    """A caller. ``key`` None: without credentials."""

    key: str | None = None

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        given = {"X-API-Key": self.key} if self.key else {}
        content: Any = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        media_type = headers.pop("content_type", "application/json")
        # Said even of an empty body, for which the test client leaves it out.
        sent: dict[str, Any] = {} if content is None else {"data": content, "CONTENT_TYPE": media_type}
        response: Any = Client().generic(
            method, path, content_type=media_type, headers={**given, **headers}, PATH_INFO=_path(path), **sent
        )
        return cast("HttpResponse", response)

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.send("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.send("PUT", path, body, **headers)

    def delete(self, path: str) -> HttpResponse:
        return self.send("DELETE", path)


def _path(target: str) -> str:
    """What a server makes of a request's target: the test client would take ``//manual`` for a host."""
    return unquote(target.partition("?")[0], errors="strict")


def read(response: HttpResponse) -> Any:
    return json.loads(response.content)


def assert_error(response: HttpResponse, status: int, *, original: str | None = None, says: str = "") -> Json:
    """The family's envelope, with the status as text."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    body: Json = read(response)
    assert body.keys() >= {"status", "message", "original-call", "downstream-call"}
    assert body["status"] == str(status)
    assert says in body["message"]
    if original is not None:
        assert body["original-call"] == original
    return body


def without_path(body: Mapping[str, Any]) -> Json:
    return {name: value for name, value in body.items() if name != "original-call"}


def make_tenant() -> Tenant:
    now = timezone.now()
    return create_tenant(slug=f"t-{uuid4().hex[:12]}", name="A tenant", now=now, rate_tier="enterprise")


def make_caller(tenant: Tenant, role: str = "admin") -> Api:
    now = timezone.now()
    user = create_user(tenant=tenant, email=f"{role}-{uuid4().hex[:8]}@example.org", password=None, role=role, now=now)
    return Api(issue_api_key(tenant=tenant, owner=user, name=f"{role} key", now=now)[1])


def variable(type_: str = "string", *, value: Any = None, external: bool = False, constant: bool = False) -> Json:
    made = {"type": type_, "description": "", "constant": constant, "external": external}
    return made if value is None else made | {"value": value}


def manual_playbook(*, timeout: int = 600_000, **changes: Any) -> Json:
    """A playbook that asks a person for `__decision__`; a failure leads to a second question."""
    document: Json = {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": f"playbook--{uuid4()}",
        "name": "Ask the people",
        "description": "One question",
        "created_by": "identity--ac3c0258-7a81-46e7-a2ae-d34b6d06cc54",
        "created": "2026-01-21T14:14:23.263Z",
        "modified": "2026-01-21T14:14:23.263Z",
        "playbook_variables": {"__decision__": variable()},
        "workflow_start": START,
        "workflow": {
            START: {"type": "start", "on_completion": STEP},
            STEP: {
                "type": "action",
                "name": "Decide",
                "description": "The step's own words",
                "on_success": END,
                "on_failure": AFTER_FAILURE,
                "timeout": timeout,
                "commands": [{"type": "manual", "command": "allow or block?"}],
                "agent": AGENT,
                "targets": [TARGET],
                "out_args": ["__decision__"],
            },
            AFTER_FAILURE: {
                "type": "action",
                "name": "Clean up",
                "on_completion": END,
                "commands": [{"type": "manual", "command": "clean up by hand"}],
                "agent": AGENT,
            },
            END: {"type": "end"},
        },
        "agent_definitions": {AGENT: {"type": "individual", "name": "analyst"}},
        "target_definitions": {TARGET: {"type": "individual", "name": "soc", "location": {"name": "here"}}},
    }
    return document | changes


def variables_playbook(**changes: Any) -> Json:
    """External `__ip__` and `__user__`, internal `__secret__`; waits for a person at once."""
    document = manual_playbook()
    document["playbook_variables"] |= {
        "__ip__": variable("ipv4-addr", value="198.51.100.1", external=True),
        "__user__": variable("string", value="nobody", external=True),
        "__secret__": variable("string", value="x"),
    }
    return document | changes


def with_step(document: Json, step: str = STEP, **changes: Any) -> Json:
    changed = deepcopy(document)
    changed["workflow"][step] |= changes
    return changed


@dataclass(frozen=True)
class Waiting:
    """An execution that waits for a person."""

    execution: str
    playbook: str
    step: str = STEP

    @property
    def path(self) -> str:
        return f"/manual/{self.execution}/{self.step}"

    def answer(self, value: Any = "allow", **changes: Any) -> Json:
        body = {
            "type": "manual-step-response",
            "execution_id": self.execution,
            "playbook_id": self.playbook,
            "step_id": self.step,
            "response_status": "success",
            "response_out_args": {"__decision__": {"type": "string", "name": "__decision__", "value": value}},
        }
        return {name: value for name, value in (body | changes).items() if value is not ...}


def start(api: Api, document: Json) -> Waiting:
    """Start a playbook that is sent along."""
    response = api.post("/trigger/playbook", document)
    assert response.status_code == 200, response.content
    run(read(response)["execution_id"])
    return Waiting(read(response)["execution_id"], document["id"])


def run(execution_id: str) -> Execution:
    """Run an execution, in place of the workers, until it is final or waits for somebody."""
    return drive(Execution.objects.get(pk=execution_id))


def store(api: Api, document: Json) -> str:
    response = api.post("/playbook", document)
    assert response.status_code == 201, response.content
    return str(document["id"])
