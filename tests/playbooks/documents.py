"""A small CACAO document to vary."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

Json = dict[str, Any]

ID = "playbook--00000000-0000-4000-8000-0000000000aa"
START = "start--00000000-0000-4000-8000-000000000001"
CALL = "action--00000000-0000-4000-8000-000000000002"
END = "end--00000000-0000-4000-8000-000000000003"
AGENT = "http-api--00000000-0000-4000-8000-000000000004"
LOGIN = "http-basic--00000000-0000-4000-8000-000000000005"

_DOCUMENT: Json = {
    "type": "playbook",
    "spec_version": "cacao-2.0",
    "id": ID,
    "name": "Small Playbook",
    "created_by": "identity--00000000-0000-4000-8000-0000000000bb",
    "created": "2026-01-01T00:00:00.000Z",
    "modified": "2026-01-01T00:00:00.000Z",
    "workflow_start": START,
    "workflow": {
        START: {"type": "start", "on_completion": CALL},
        CALL: {
            "type": "action",
            "commands": [{"type": "http-api", "command": "GET /state HTTP/1.1"}],
            "agent": AGENT,
            "on_completion": END,
        },
        END: {"type": "end"},
    },
    "agent_definitions": {AGENT: {"type": "http-api", "name": "demo", "address": {"dname": ["demo.example"]}}},
}


def small(**changes: Any) -> Json:
    return deepcopy(_DOCUMENT) | changes


def with_password(password: str = "correct horse battery staple") -> Json:
    made = small()
    made["authentication_info_definitions"] = {LOGIN: {"type": "http-basic", "user_id": "me", "password": password}}
    made["agent_definitions"][AGENT]["authentication_info"] = LOGIN
    return made


def starting(child: str, **changes: Any) -> Json:
    """A playbook whose one step starts another."""
    made = small(**changes)
    made["workflow"][CALL] = {"type": "playbook-action", "playbook_id": child, "on_completion": END}
    return made
