"""What ``chat.post`` declares (CONNECTORS.md, 4.4)."""

from connectors.base import EffectClass, OperationSpec

OPERATIONS = (
    OperationSpec(
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
    ),
)
