"""What callers send, but for playbooks, which ``dialect/reading.py`` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import serializers

from api.fields import Flag, Input, JSONObject, Text

if TYPE_CHECKING:
    Shape = serializers.Serializer[Any]
else:
    Shape = serializers.Serializer

LONGEST_COMMENT = 2_000


class S4ERunInput(Input):
    """POST /api/playbooks/{id}/run"""

    target_asset_id = Text(required=False, allow_null=True, default=None, help_text="An asset of the tenant: a-...")
    parameters = JSONObject(required=False, default=dict, help_text="Override default parameters, by name.")
    dry_run = Flag(required=False, default=False, help_text="Simulate: no connector is called.")


class S4EDecisionInput(Input):
    """POST .../approve and .../reject"""

    comment = Text(required=False, default="", allow_blank=True, max_length=LONGEST_COMMENT)


class S4ETriggerShape(Shape):
    """What starts a playbook by itself."""

    event = serializers.CharField()
    conditions = serializers.JSONField(required=False)
    cron = serializers.CharField(required=False)


class S4EPlaybookShape(Shape):
    """The body of POST /api/playbooks, as the documentation shows it."""

    name = serializers.CharField(max_length=200)
    version = serializers.CharField(help_text="Semantic version.")
    description = serializers.CharField(required=False)
    trigger = S4ETriggerShape()
    steps = serializers.ListField(child=serializers.JSONField(), help_text="Ordered list of workflow steps.")
    on_failure = serializers.ChoiceField(choices=["abort", "continue", "retry"], required=False)
    max_retries = serializers.IntegerField(min_value=1, max_value=10, required=False)
    timeout_minutes = serializers.IntegerField(min_value=1, max_value=10_080, required=False)
    tags = serializers.ListField(child=serializers.CharField(), required=False)
    inputs = serializers.JSONField(required=False, help_text="name -> {type, required, default, description}")
