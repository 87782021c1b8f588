"""What callers send: bodies and queries, checked for shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from rest_framework import serializers

from api.base import FamilyRequest, Kind, Refusal
from api.fields import Input, JSONObject, Text
from api.olorin import ids
from core.errors import FieldError, Forbidden, Invalid

LONGEST_ID: Final = 256
LONGEST_REASON: Final = 2_000
#: keys of ``context`` that have a type
_CONTEXT_TEXTS: Final = ("entity_id", "entity_type", "severity")
_SIGNATURE: Final = "soar_signature"


class PlaybookKey(Text):
    default_error_messages = {"key": "Must be letters, digits, '_' and '-', 128 at most, a letter or digit first."}

    def to_internal_value(self, data: Any) -> str:
        key = super().to_internal_value(data)
        if not ids.PLAYBOOK.fullmatch(key):
            self.fail("key")
        return key


class Context(JSONObject):
    """An object of any keys, a few of which have a type."""

    default_error_messages = {"text": "{name} must be text.", "number": "risk_score must be a number."}

    def to_internal_value(self, data: Any) -> Mapping[str, Any]:
        found = super().to_internal_value(data)
        for name in _CONTEXT_TEXTS:
            if name in found and not isinstance(found[name], str):
                self.fail("text", name=name)
        score = found.get("risk_score", 0)
        if isinstance(score, bool) or not isinstance(score, int | float):
            self.fail("number")
        return found


class OlorinExecuteInput(Input):
    """POST /api/soar/playbooks/execute"""

    ignores_unknown = True

    playbook_id = PlaybookKey(help_text="The playbook's key: its slug with _ for -.")
    tenant_id = Text(max_length=LONGEST_ID, help_text="The caller's tenant.")
    investigation_id = Text(required=False, default=None, max_length=LONGEST_ID)
    anomaly_id = Text(required=False, default=None, max_length=LONGEST_ID)
    trigger_reason = Text(required=False, default=None, allow_blank=True, max_length=LONGEST_REASON)
    # A serializer has an attribute of that name; DRF keeps declared fields apart from it.
    context = Context(  # type: ignore[assignment]
        required=False, default=dict, help_text="Reaches the playbook as context.<key>."
    )


class OlorinActionInput(Input):
    """POST /api/composio/soar-action"""

    ignores_unknown = True

    execution_id = Text(max_length=LONGEST_ID)
    toolkit = Text(max_length=LONGEST_ID)
    action = Text(max_length=LONGEST_ID)
    tenant_id = Text(max_length=LONGEST_ID)
    parameters = JSONObject()
    soar_signature = Text(required=False, allow_blank=True, help_text="sha256=<64 hexadecimal digits>.")

    def to_internal_value(self, data: Any) -> Any:
        if data.get(_SIGNATURE, "") is None:
            raise serializers.ValidationError({_SIGNATURE: ["Must be text."]})
        return super().to_internal_value(data)


def check_tenant(request: FamilyRequest, tenant_id: str | None = None) -> None:
    """Refuse a ``tenant_id`` that is missing (400) or not the caller's (403)."""
    given = request.query_params.get("tenant_id", "") if tenant_id is None else tenant_id
    if not given:
        raise Invalid("tenant_id: This parameter is required.", fields=[FieldError("tenant_id", "Required.")])
    if len(request.query_params.getlist("tenant_id")) > 1 or given != request.tenant.slug:
        raise Forbidden("This belongs to another tenant.")


def required_query(request: FamilyRequest, name: str, *, kind: Kind = Kind.INVALID) -> str:
    found = request.query_params.get(name, "")
    if not re.fullmatch(r"[!-~]{1,4000}", found):
        raise Refusal(kind, f"{name}: This parameter is required, in printable ASCII without spaces.")
    return found
