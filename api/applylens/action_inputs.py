"""What the calls about actions send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from api.base import Kind, Refusal
from api.fields import Input, JSONObject, Text
from incidents.actions.base import Action
from incidents.actions.registry import ACTIONS


class ApplyLensDryRunInput(Input):
    """``action_type`` and ``params`` are looked at first, by ``named``: a wrong one is another answer."""

    action_type = serializers.ChoiceField(choices=list(ACTIONS))
    params = JSONObject(required=False, default=dict)


class ApplyLensExecuteInput(ApplyLensDryRunInput):
    approved_by = Text(required=False, allow_null=True, default=None, max_length=254)


class ApplyLensRollbackInput(Input):
    approved_by = Text(required=False, allow_null=True, default=None, max_length=254)


def named(body: Mapping[str, Any]) -> Action:
    """Return the action that a body names. Raises Refusal (400) where it names none, or its params are no object."""
    given = body.get("action_type")
    if not isinstance(given, str):
        raise Refusal(Kind.MALFORMED, "action_type must be given, as text.")
    if given not in ACTIONS:
        raise Refusal(Kind.MALFORMED, f"There is no action {given[:100]!r}. Actions: {', '.join(ACTIONS)}.")
    if not isinstance(body.get("params", {}), dict):
        raise Refusal(Kind.MALFORMED, "params must be an object.")
    return ACTIONS[given]
