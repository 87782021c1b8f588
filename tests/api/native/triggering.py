"""What tests of triggers send: bodies, signatures, events."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

from django.test import Client

from accounts.models import Tenant
from playbooks.models import Playbook
from tests.executions.test_triggers import saying
from tests.flows.starting import store_workflow

if TYPE_CHECKING:
    from tests.api.native.calls import Api

Json = dict[str, Any]
ROOT = "/api/native/triggers"


def store(tenant: Tenant, **trigger: Any) -> Playbook:
    """A playbook that says one thing; ``trigger`` is the one of its document."""
    return store_workflow(tenant, saying(), trigger=trigger).playbook


def make(api: Api, playbook: Playbook, event: str, **more: Any) -> Json:
    """Make a trigger and return it as answered, its secret with it."""
    answer = api.post(ROOT, {"playbook": f"pb-{playbook.slug}", "event": event, **more})
    assert answer.status_code == 201, answer.content
    return read(answer)


def read(answer: Any) -> Json:
    found: Json = json.loads(answer.content)
    return found


def problem(answer: Any, status: int, code: str) -> Json:
    """The family's problem, checked."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    told = read(answer)
    assert (told["status"], told["code"]) == (status, code)
    assert told["detail"]
    return told


def sign(secret: str, text: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def deliver(
    hook: str, secret: str, body: Any, *, id: str | None = None, at: float | None = None, **headers: str
) -> Any:
    """Send a signed request as a sender would; ``headers`` replace those it would send, and "" leaves one out."""
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    timestamp = str(int(time.time() if at is None else at))
    sent = {
        "X-Sallyport-Timestamp": timestamp,
        "X-Sallyport-Signature": sign(secret, f"{timestamp}\n{id or ''}\n".encode() + octets),
        **({"X-Sallyport-Event-Id": id} if id is not None else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return _post(hook, octets, sent)


def deliver_as_github(hook: str, secret: str, body: Any, *, id: str | None = None, **headers: str) -> Any:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {
        "X-Hub-Signature-256": sign(secret, octets),
        **({"X-GitHub-Delivery": id} if id is not None else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return _post(hook, octets, sent)


def _post(path: str, octets: bytes, headers: dict[str, str]) -> Any:
    given = {name: value for name, value in headers.items() if value}
    return Client(raise_request_exception=False).generic(
        "POST", path, octets, "", CONTENT_TYPE="application/json", headers=given
    )


def executions_of(answer: Any) -> list[str]:
    assert answer.status_code == 202, answer.content
    return [started["execution_id"] for started in read(answer)["started"]]
