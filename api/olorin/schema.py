"""The shapes of this family's answers, for the OpenAPI page. The answers themselves are made in ``outputs.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

if TYPE_CHECKING:
    Shape = serializers.Serializer[Any]
else:
    Shape = serializers.Serializer

TENANT: Final = OpenApiParameter("tenant_id", str, required=True, description="The caller's tenant.")


class OlorinStarted(Shape):
    execution_id = serializers.CharField(help_text="exec_ and 12 characters.")
    playbook_id = serializers.CharField()
    status = serializers.CharField(help_text="running")
    started_at = serializers.DateTimeField()


class OlorinActionShown(Shape):
    action_id = serializers.CharField(help_text="act_001, act_002, ...")
    toolkit = serializers.CharField()
    action_name = serializers.CharField()
    status = serializers.CharField(help_text="success or failed")
    executed_at = serializers.DateTimeField()
    error_message = serializers.CharField(required=False)


class OlorinExecution(Shape):
    execution_id = serializers.CharField()
    playbook_id = serializers.CharField()
    investigation_id = serializers.CharField(allow_null=True)
    anomaly_id = serializers.CharField(allow_null=True)
    tenant_id = serializers.CharField()
    status = serializers.CharField(help_text="running, completed, failed or cancelled")
    started_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    trigger_reason = serializers.CharField(allow_null=True)
    actions_executed = OlorinActionShown(many=True)
    error_message = serializers.CharField(required=False)


class OlorinActionDone(Shape):
    action_id = serializers.CharField()
    status = serializers.CharField(help_text="success")
    result = serializers.JSONField()
    executed_at = serializers.DateTimeField()


class OlorinConnect(Shape):
    oauth_url = serializers.CharField()
    state = serializers.CharField()
    expires_at = serializers.DateTimeField()


class OlorinConnected(Shape):
    connection_id = serializers.CharField(help_text="conn_...")
    toolkit_name = serializers.CharField()
    status = serializers.CharField(help_text="active")
    expires_at = serializers.DateTimeField(allow_null=True)


class OlorinConnection(Shape):
    id = serializers.CharField(help_text="conn_...")
    toolkit_name = serializers.CharField()
    status = serializers.CharField(help_text="active, expired or revoked")
    expires_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


class OlorinConnections(Shape):
    connections = OlorinConnection(many=True)
    total = serializers.IntegerField()


class OlorinRevoked(Shape):
    connection_id = serializers.CharField()
    status = serializers.CharField(help_text="revoked")
    revoked_at = serializers.DateTimeField()


class OlorinTested(Shape):
    connection_id = serializers.CharField()
    status = serializers.CharField()
    test_result = serializers.CharField(help_text="success or failed")
    tested_at = serializers.DateTimeField()
