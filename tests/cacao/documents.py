"""Playbooks made in code, and what is installed around them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from playbooks.cacao.findings import RELAXED
from playbooks.cacao.importing import import_document
from playbooks.cacao.types import Catalogue, Imported, Severity, Workflow
from playbooks.cacao.vocabularies import COMMAND_TYPES

Document = dict[str, Any]

CHILD = "playbook--2f0b6d6e-5a0f-4a57-9d1b-6a4f7a4ec0aa"
SELF = "playbook--0d5d3b0a-7f0e-4a0c-9f53-3b5b3c1d9d01"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

CATALOGUE = Catalogue(
    command_types={kind: f"fake.{kind}" for kind in COMMAND_TYPES},
    playbooks=frozenset({CHILD}),
)

START = "start--00000000-0000-4000-8000-000000000001"
ASK = "action--00000000-0000-4000-8000-000000000002"
PARALLEL = "parallel--00000000-0000-4000-8000-000000000003"
LEFT = "action--00000000-0000-4000-8000-000000000004"
LEFT_END = "end--00000000-0000-4000-8000-000000000005"
RIGHT = "action--00000000-0000-4000-8000-000000000006"
RIGHT_END = "end--00000000-0000-4000-8000-000000000007"
IF = "if-condition--00000000-0000-4000-8000-000000000008"
TRUE = "action--00000000-0000-4000-8000-000000000009"
TRUE_END = "end--00000000-0000-4000-8000-00000000000a"
WHILE = "while-condition--00000000-0000-4000-8000-00000000000b"
BODY = "action--00000000-0000-4000-8000-00000000000c"
BODY_END = "end--00000000-0000-4000-8000-00000000000d"
SWITCH = "switch-condition--00000000-0000-4000-8000-00000000000e"
HIGH = "playbook-action--00000000-0000-4000-8000-00000000000f"
HIGH_END = "end--00000000-0000-4000-8000-000000000010"
OTHER_END = "end--00000000-0000-4000-8000-000000000011"
END = "end--00000000-0000-4000-8000-000000000012"
ABSENT = "action--00000000-0000-4000-8000-0000000000ff"

HOST = "http-api--00000000-0000-4000-8000-000000000101"
SHELL = "ssh--00000000-0000-4000-8000-000000000102"
PERSON = "individual--00000000-0000-4000-8000-000000000103"
LOGON = "http-basic--00000000-0000-4000-8000-000000000104"
MAPPING = "extension-definition--d4cf702b-682c-45dd-adda-829d0d5de258"
MARKING = "marking-tlp--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"


def _http(path: str, **more: Any) -> Document:
    command = {"type": "http-api", "command": f"GET {path} HTTP/1.1", "playbook_activity": "scan-system"}
    return {"type": "action", "commands": [command], "agent": HOST, "targets": [HOST], **more}


def clean() -> Document:
    """Return a playbook with every type of step, about which neither import nor checker has anything to say."""
    return {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": SELF,
        "name": "Look, ask, act",
        "playbook_types": ["investigation"],
        "playbook_activities": ["scan-system"],
        "created_by": "identity--00000000-0000-4000-8000-000000000201",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-02T00:00:00.000Z",
        "valid_from": "2026-01-01T00:00:00.000Z",
        "markings": [MARKING],
        "external_references": [{"name": "Handbook", "url": "https://handbook.example.org/"}],
        "playbook_variables": {
            "__level__": {"type": "string", "value": "high"},
            "__host__": {"type": "string", "external": True},
            "__count__": {"type": "integer", "value": "2"},
            "__fixed__": {"type": "string", "value": "always", "constant": True},
            "__password__": {"type": "string", "external": True},
        },
        "workflow_start": START,
        "workflow_exception": END,
        "workflow": {
            START: {"type": "start", "on_completion": ASK},
            ASK: {
                "type": "action",
                "commands": [{"type": "manual", "command": "How bad is __host__:value?"}],
                "agent": PERSON,
                "out_args": ["__level__"],
                "on_success": PARALLEL,
                "on_failure": END,
            },
            PARALLEL: {"type": "parallel", "next_steps": [LEFT, RIGHT], "on_completion": IF},
            LEFT: _http(
                "/left?host=__host__:value&own=__own__:value",
                on_completion=LEFT_END,
                step_variables={"__own__": {"type": "string", "value": "x"}},
                out_args=["__own__"],
            ),
            LEFT_END: {"type": "end"},
            RIGHT: {
                **_http("/right", on_completion=RIGHT_END),
                "commands": [{"type": "ssh", "command": "uptime", "playbook_activity": "scan-system"}],
                "agent": SHELL,
                "targets": [SHELL],
                "delay": 5,
                "timeout": 1000,
            },
            RIGHT_END: {"type": "end"},
            IF: {
                "type": "if-condition",
                "condition": "__level__:value = 'high' AND __count__:value > 1",
                "on_true": TRUE,
                "on_completion": WHILE,
            },
            TRUE: _http("/true", on_completion=TRUE_END),
            TRUE_END: {"type": "end"},
            WHILE: {
                "type": "while-condition",
                "condition": "__count__:value > 0",
                "on_true": BODY,
                "on_completion": SWITCH,
            },
            BODY: _http(
                "/count?kind=__fixed__:value",
                on_completion=BODY_END,
                step_extensions={
                    MAPPING: {"type": "sallyport-output", "outputs": {"__count__": {"pointer": "/data/count"}}}
                },
            ),
            BODY_END: {"type": "end"},
            SWITCH: {
                "type": "switch-condition",
                "switch": "__level__:value",
                "cases": {"high": HIGH, "default": OTHER_END},
                "on_completion": END,
            },
            HIGH: {"type": "playbook-action", "playbook_id": CHILD, "in_args": ["__host__"], "on_completion": HIGH_END},
            HIGH_END: {"type": "end"},
            OTHER_END: {"type": "end"},
            END: {"type": "end"},
        },
        "agent_definitions": {
            HOST: {
                "type": "http-api",
                "name": "Inventory",
                "address": {"url": ["https://inventory.example.org/"]},
                "authentication_info": LOGON,
            },
            SHELL: {
                "type": "ssh",
                "name": "Runner",
                "address": {"ipv4": ["192.0.2.7"]},
                "port": "22",
                "authentication_info": LOGON,
            },
            PERSON: {"type": "individual", "name": "Analyst", "contact": {"email": {"work": "analyst@example.org"}}},
        },
        "target_definitions": {
            HOST: {"type": "http-api", "name": "Inventory", "address": {"dname": ["__host__:value"]}},
            SHELL: {"type": "ssh", "name": "Host", "address": {"ipv6": ["2001:db8::7"]}},
        },
        "authentication_info_definitions": {
            LOGON: {"type": "http-basic", "user_id": "scanner", "password": "__password__:value"},
        },
    }


def changed(change: Callable[[Document], object]) -> Document:
    """Return the clean playbook after ``change``."""
    document = copy.deepcopy(clean())
    change(document)
    return document


def put(*path: str | int | dict[str, Any] | list[Any] | object) -> Callable[[Document], None]:
    """Return a change that sets what the last argument says at the path of the others."""
    *tokens, value = path

    def change(document: Document) -> None:
        place: Any = document
        for token in tokens[:-1]:
            place = place[token]
        if isinstance(place, list) and tokens[-1] == len(place):
            place.append(None)
        place[tokens[-1]] = copy.deepcopy(value)

    return change


def drop(*path: str | int) -> Callable[[Document], None]:
    """Return a change that takes the member at the path away."""

    def change(document: Document) -> None:
        place: Any = document
        for token in path[:-1]:
            place = place[token]
        del place[path[-1]]

    return change


def both(*changes: Callable[[Document], object]) -> Callable[[Document], None]:
    """Return a change made of several."""

    def change(document: Document) -> None:
        for one in changes:
            one(document)

    return change


def imported(document: Any, *, level: str = "lenient", catalogue: Catalogue = CATALOGUE) -> Imported:
    """Import a document at noon."""
    return import_document(json.dumps(document).encode(), level=level, catalogue=catalogue, now=NOON)


def workflow_of(document: Any, *, catalogue: Catalogue = CATALOGUE) -> Workflow:
    """Return the workflow of a document that lenient import accepts."""
    result = imported(document, catalogue=catalogue)
    assert result.workflow is not None, [finding.message for finding in result.findings]
    return result.workflow


def codes(result: Imported) -> set[str]:
    return {finding.code for finding in result.findings}


def errors(result: Imported) -> set[str]:
    return {finding.code for finding in result.findings if finding.severity == Severity.ERROR}


def relaxations(result: Imported) -> set[str]:
    return {finding.code for finding in result.findings if finding.code in RELAXED}
