"""A caller of the S4E API, the seed's request bodies, and short forms of steps."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.test import Client

if TYPE_CHECKING:
    from django.http import HttpResponse

Json = dict[str, Any]

#: the request example of the documentation, word for word
SEED: Json = {
    "name": "Critical Finding Alert",
    "version": "1.0.0",
    "description": "Notify team and create ticket for critical findings.",
    "trigger": {"event": "finding.new", "conditions": {"severity": "critical"}},
    "steps": [
        {
            "id": "notify",
            "name": "Notify Security Team",
            "type": "action",
            "action_ref": "act-slack-notify",
            "parameters": {"channel": "#security-alerts", "message": "Critical finding: {{ finding.title }}"},
            "on_success": "create-ticket",
        },
        {
            "id": "create-ticket",
            "name": "Create JIRA Ticket",
            "type": "action",
            "action_ref": "act-jira-create",
            "parameters": {"project": "SEC", "summary": "{{ finding.title }}", "priority": "Critical"},
        },
    ],
    "on_failure": "abort",
    "timeout_minutes": 30,
    "tags": ["incident-response"],
}


@dataclass(frozen=True)
class Api:
    """A caller. ``key`` None: without credentials."""

    key: str | None = None

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        given = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        content: Any = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent: Json = {} if content is None else {"data": content, "content_type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cast("HttpResponse", Client().generic(method, path, headers={**given, **named}, **sent))

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.send("POST", path, body, **headers)

    def create(self, **changes: Any) -> HttpResponse:
        """Post the seed's playbook with some members changed; None takes one out."""
        return self.post("/api/playbooks", body(**changes))

    def made(self, **changes: Any) -> str:
        """Create a playbook and return its id."""
        response = self.create(**changes)
        assert response.status_code == 201, response.content
        return str(data(response)["id"])

    def started(self, playbook: str, given: Json | None = None) -> str:
        """Run a playbook and return the execution's id."""
        response = self.post(f"/api/playbooks/{playbook}/run", given or {})
        assert response.status_code == 200, response.content
        return str(data(response)["execution_id"])

    def execution(self, execution: str) -> Json:
        return dict(data(self.get(f"/api/playbooks/executions/{execution}")))

    def steps(self, execution: str) -> list[Json]:
        return list(data(self.get(f"/api/playbooks/executions/{execution}/steps")))


def body(**changes: Any) -> Json:
    made = deepcopy(SEED) | changes
    return {name: value for name, value in made.items() if value is not None}


def read(response: HttpResponse) -> Any:
    return json.loads(response.content)


def data(response: HttpResponse) -> Any:
    assert response.status_code < 300, response.content
    return read(response)["data"]


def error(response: HttpResponse, status: int, code: str) -> Json:
    """The family's error body, checked; return its ``error``."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    told = read(response)
    assert told.keys() == {"status", "error"}
    assert told["status"] == "error"
    assert told["error"]["code"] == code
    assert told["error"]["message"]
    return dict(told["error"])


def invalid(response: HttpResponse, path: str) -> None:
    """A 422 whose message names the field, and whose details list it."""
    told = error(response, 422, "validation_error")
    assert path in told["message"]
    assert path in [detail["path"] for detail in told["details"]]


def say(id: str, message: str = "hello", *, channel: str = "#incidents", **more: Any) -> Json:
    parameters = {"channel": channel, "message": message}
    return {"id": id, "type": "action", "action_ref": "act-slack-notify", "parameters": parameters, **more}


def condition(id: str, expression: str, **ways: Any) -> Json:
    return {"id": id, "type": "condition", "expression": expression, **ways}


def approval(id: str, **more: Any) -> Json:
    return {"id": id, "type": "approval", "message": "Go on?", **more}


def delay(id: str, seconds: int, **more: Any) -> Json:
    return {"id": id, "type": "delay", "duration_seconds": seconds, **more}


def parallel(id: str, *branches: list[str], **more: Any) -> Json:
    return {"id": id, "type": "parallel", "branches": list(branches), **more}


def statuses(steps: list[Json]) -> dict[str, str]:
    return {step["step_id"]: step["status"] for step in steps}
