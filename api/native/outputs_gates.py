from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import serializers

from executions.gate_models import BreakerState, CapKind, Switch, SwitchKind

if TYPE_CHECKING:
    Output = serializers.Serializer[Any]
else:
    Output = serializers.Serializer


class SwitchOutput(Output):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(SwitchKind.choices)
    value = serializers.CharField(help_text="As it is stored: a connection's or playbook's id.")
    name = serializers.CharField(source="label", help_text="What people call it.")
    everywhere = serializers.SerializerMethodField(help_text="It holds for all tenants.")
    blocks_reads = serializers.BooleanField()
    reason = serializers.CharField()
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()
    is_on = serializers.BooleanField()
    lifted_by = serializers.CharField()
    lifted_at = serializers.DateTimeField(allow_null=True)
    lift_reason = serializers.CharField()

    def get_everywhere(self, switch: Switch) -> bool:
        return switch.tenant_id is None


class CapOutput(Output):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(CapKind.choices)
    value = serializers.CharField(help_text="As it is stored: a connection's or playbook's id.")
    name = serializers.CharField(source="label", help_text="What people call it.")
    limit = serializers.IntegerField(source="most")
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()


class BreakerOutput(Output):
    connection = serializers.UUIDField(source="connection_id")
    name = serializers.CharField(source="connection.name")
    state = serializers.ChoiceField(BreakerState.choices)
    failures = serializers.IntegerField(help_text="Failures of the far side in a row.")
    last_code = serializers.CharField()
    last_failure_at = serializers.DateTimeField(allow_null=True)
    opened_at = serializers.DateTimeField(allow_null=True, help_text="When it opened last.")
    next_at = serializers.DateTimeField(allow_null=True, help_text="Nobody calls before then.")


class SwitchPage(Output):
    items = SwitchOutput(many=True)
    next = serializers.CharField(allow_null=True, help_text="`cursor` of the next page, null at the end.")


class CapPage(Output):
    items = CapOutput(many=True)
    next = serializers.CharField(allow_null=True, help_text="`cursor` of the next page, null at the end.")


class BreakerPage(Output):
    items = BreakerOutput(many=True)
    next = serializers.CharField(allow_null=True, help_text="`cursor` of the next page, null at the end.")
