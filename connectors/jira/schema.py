"""What ``ticket.create`` declares (CONNECTORS.md, 4.4), and the same as an action of the toolkit ``jira``."""

from dataclasses import replace
from datetime import timedelta

from connectors.base import EffectClass, OperationSpec

_CREATE = OperationSpec(
    name="ticket.create",
    title="Create a Jira issue",
    effect=EffectClass.PROBE,
    reference="act-jira-create",
    connection_kind="jira",
    inputs={
        "type": "object",
        "properties": {
            "connection": {"type": "string"},
            "project": {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9_]{0,254}$", "description": "Its key."},
            "summary": {
                "type": ["string", "number"],
                "pattern": r"^[^\r\n]*\S[^\r\n]*$",
                "maxLength": 255,
            },
            "description": {
                "type": ["string", "number", "boolean", "object", "array", "null"],
                "maxLength": 32767,
            },
            "priority": {"type": ["string", "null"], "maxLength": 255},
            "issue_type": {"type": "string", "minLength": 1, "maxLength": 255, "default": "Task"},
        },
        "required": ["project", "summary"],
        "additionalProperties": False,
    },
    outputs={
        "type": "object",
        "properties": {"issue_key": {"type": "string"}, "url": {"type": "string"}},
        "required": ["issue_key", "url"],
    },
    probe=True,
    settle=timedelta(seconds=60),  # the search index lags behind
    secret_fields=("token",),
)

OPERATIONS = (
    _CREATE,
    replace(_CREATE, name="jira.create_case", reference=None, toolkit="jira"),
    OperationSpec(
        name="jira.check",
        title="Ask whether the token is good",
        effect=EffectClass.READ,
        connection_kind="jira",
        inputs={"type": "object", "properties": {"connection": {"type": "string"}}, "additionalProperties": False},
        outputs={"type": "object"},
        secret_fields=("token",),
        toolkit="jira",
    ),
)
