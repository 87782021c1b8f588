"""What the planner's operations declare (CONNECTORS.md, 4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.base import EffectClass, OperationSpec

VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$"

_CONNECTION: Mapping[str, Any] = {"connection": {"type": "string"}}
_VERSION: Mapping[str, Any] = {"type": "string", "pattern": VERSION_PATTERN}
_PERCENT: Mapping[str, Any] = {"type": "integer", "minimum": 0, "maximum": 100}
_CHANGED: Mapping[str, Any] = {
    "type": "object",
    "properties": {"version": {"type": "string"}, "percent": {"type": "integer"}},
    "required": ["version", "percent"],
}


def _inputs(required: tuple[str, ...], **properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": {**_CONNECTION, **properties},
        "required": list(required),
        "additionalProperties": False,
    }


OPERATIONS = (
    OperationSpec(
        name="planner.versions",
        title="Read the planner's versions",
        effect=EffectClass.READ,
        reference="act-planner-versions",
        connection_kind="planner",
        inputs=_inputs(()),
        outputs={
            "type": "object",
            "properties": {
                "stable": {"type": ["string", "null"]},
                "previous": {"type": ["string", "null"]},
                "percents": {"type": "object", "additionalProperties": {"type": "integer"}},
            },
            "required": ["stable", "previous", "percents"],
        },
        secret_fields=("token",),
    ),
    OperationSpec(
        name="planner.deploy",
        title="Deploy a planner version",
        effect=EffectClass.PROBE,
        reference="act-planner-deploy",
        connection_kind="planner",
        inputs=_inputs(("version", "canary_percent"), version=_VERSION, canary_percent=_PERCENT),
        outputs=_CHANGED,
        probe=True,
        destructive=True,
        secret_fields=("token",),
    ),
    OperationSpec(
        name="planner.rollback",
        title="Roll a planner version back",
        effect=EffectClass.PROBE,
        reference="act-planner-rollback",
        connection_kind="planner",
        inputs=_inputs(
            ("from_version", "to_version"),
            from_version=_VERSION,
            to_version=_VERSION,
            immediate={"type": "boolean", "default": False},
        ),
        outputs=_CHANGED,
        probe=True,
        secret_fields=("token",),
    ),
    OperationSpec(
        name="planner.split",
        title="Send a share of the traffic to a planner version",
        effect=EffectClass.PROBE,
        reference="act-planner-split",
        connection_kind="planner",
        inputs=_inputs(
            ("version", "percent"),
            version=_VERSION,
            percent=_PERCENT,
            gradual={"type": "boolean", "default": True},
        ),
        outputs=_CHANGED,
        probe=True,
        secret_fields=("token",),
    ),
)
