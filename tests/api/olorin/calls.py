"""A caller of the Olorin API, the seed's bodies, and signatures over them."""

from __future__ import annotations

import hashlib
import hmac
import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

from django.test import Client

if TYPE_CHECKING:
    from django.http import HttpResponse

Json = dict[str, Any]

SECRET = "test-secret"
EXECUTE = "/api/soar/playbooks/execute"
ACTION = "/api/composio/soar-action"
KEY = "fraud_response_critical"

#: the request examples of the documentation, word for word
SEED: Json = {
    "playbook_id": KEY,
    "investigation_id": "inv_abc123",
    "anomaly_id": "anom_xyz789",
    "tenant_id": "tenant_123",
    "trigger_reason": "Critical anomaly detected (score: 5.2)",
    "context": {"entity_id": "192.0.2.1", "entity_type": "ip", "risk_score": 5.2, "severity": "critical"},
}
SEED_ACTION: Json = {
    "execution_id": "exec_abc123",
    "toolkit": "stripe",
    "action": "void_payment",
    "tenant_id": "tenant_123",
    "parameters": {"payment_id": "pi_123456"},
}


def body(**changes: Any) -> Json:
    """The seed's start with some members changed; None takes one out."""
    made = deepcopy(SEED) | changes
    return {name: value for name, value in made.items() if value is not None}


def action(**changes: Any) -> Json:
    """The seed's action, unsigned, with some members changed; None takes one out."""
    made = deepcopy(SEED_ACTION) | changes
    return {name: value for name, value in made.items() if value is not None}


def canonical(given: Json) -> bytes:
    return json.dumps(given, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signature(octets: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), octets, hashlib.sha256).hexdigest()


def signed(given: Json, secret: str = SECRET) -> Json:
    return {**given, "soar_signature": signature(canonical(given), secret)}


def send_action(given: Any, **headers: str) -> HttpResponse:
    """Post an action without other credentials than its signature."""
    octets = given if isinstance(given, bytes) else json.dumps(given).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    found = Client().post(ACTION, data=octets, content_type="application/json", headers=named)
    return cast("HttpResponse", found)


def read(response: HttpResponse, status: int = 200) -> Json:
    assert response.status_code == status, (response.status_code, response.content)
    assert response["Content-Type"] == "application/json"
    return dict(json.loads(response.content))


def refused(response: HttpResponse, status: int, word: str = "") -> str:
    """The family's error body, checked; return its text."""
    told = read(response, status)
    assert told.keys() == {"detail"}
    assert told["detail"]
    assert word in told["detail"]
    return str(told["detail"])
