"""What ``chat.post`` declares (CONNECTORS.md, 4.4), and the same as an action of the toolkit ``slack``."""

from dataclasses import replace

from connectors.base import EffectClass, OperationSpec

_POST = OperationSpec(
    name="chat.post",
    title="Post a message to Slack",
    effect=EffectClass.PROBE,
    reference="act-slack-notify",
    connection_kind="slack",
    inputs={
        "type": "object",
        "properties": {
            "connection": {"type": "string"},
            "channel": {
                "type": "string",
                "pattern": r"^#?[^\s#@,]{1,80}$",
                "description": "Name or id of a channel.",
            },
            "message": {
                "type": ["string", "number", "boolean", "object", "array"],
                "minLength": 1,
                "maxLength": 40000,
            },
        },
        "required": ["channel", "message"],
        "additionalProperties": False,
    },
    outputs={
        "type": "object",
        "properties": {"message_ts": {"type": "string"}, "channel": {"type": "string"}},
        "required": ["message_ts", "channel"],
    },
    probe=True,
    secret_fields=("token",),
)

OPERATIONS = (
    _POST,
    replace(_POST, name="slack.notify", reference=None, toolkit="slack"),
    OperationSpec(
        name="slack.check",
        title="Ask whether the token is good",
        effect=EffectClass.READ,
        connection_kind="slack",
        inputs={"type": "object", "properties": {"connection": {"type": "string"}}, "additionalProperties": False},
        outputs={"type": "object"},
        secret_fields=("token",),
        toolkit="slack",
    ),
)
