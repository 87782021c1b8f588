"""The shapes of this family's bodies, for the OpenAPI page. The bodies themselves are read and made elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

if TYPE_CHECKING:
    Shape = serializers.Serializer[Any]
else:
    Shape = serializers.Serializer

#: A CACAO document, kept as it came.
DOCUMENT = OpenApiTypes.OBJECT
DOCUMENTS = OpenApiResponse({"type": "array", "items": {"type": "object"}}, description="Whole documents.")
VARIABLES = {"application/json": {"type": "object", "description": "Variable name to {type, value}."}}
NOTHING = OpenApiResponse(description="Done; no body.")
PAGE = [
    OpenApiParameter("limit", int, default=100, description="At most so many reports, 1 to 1000."),
    OpenApiParameter("offset", int, default=0, description="Leave out so many of the newest."),
]


class SoarcaVariable(Shape):
    type = serializers.CharField(help_text="A CACAO variable type.")
    name = serializers.CharField(required=False)
    description = serializers.CharField(required=False, allow_blank=True)
    value = serializers.CharField(allow_null=True, required=False)
    constant = serializers.BooleanField(required=False)
    external = serializers.BooleanField(required=False)


class SoarcaCommand(Shape):
    description = serializers.CharField()
    command = serializers.CharField()
    commandb64 = serializers.BooleanField(help_text="Whether `command` is base64.")


class SoarcaManualStep(Shape):
    type = serializers.CharField(help_text="manual-step-information")
    execution_id = serializers.UUIDField()
    run_id = serializers.UUIDField()
    playbook_id = serializers.CharField()
    step_id = serializers.CharField()
    step_run_id = serializers.UUIDField()
    step_execution_id = serializers.UUIDField()
    description = serializers.CharField()
    command = serializers.CharField()
    command_is_base64 = serializers.BooleanField()
    commandb64 = serializers.BooleanField()
    commands = SoarcaCommand(many=True)
    target = serializers.DictField(help_text="The first of the targets; empty when there is none.")
    targets = serializers.DictField(child=serializers.DictField())
    out_args = serializers.DictField(child=SoarcaVariable())


class SoarcaAnswer(Shape):
    type = serializers.CharField(required=False, help_text="manual-step-response")
    response_status = serializers.ChoiceField(["success", "failure"])
    response_out_args = serializers.DictField(child=SoarcaVariable(), required=False)


class SoarcaContinue(SoarcaAnswer):
    execution_id = serializers.UUIDField(help_text="Or run_id.")
    playbook_id = serializers.CharField(required=False)
    step_id = serializers.CharField(help_text="Or step_run_id, which is exact.")


class SoarcaStarted(Shape):
    execution_id = serializers.UUIDField()
    run_id = serializers.UUIDField()
    payload = serializers.CharField(help_text="The playbook's id.")
    playbook_id = serializers.CharField()


class SoarcaPlaybookMeta(Shape):
    id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    created = serializers.CharField(allow_null=True)
    valid_from = serializers.CharField(allow_null=True)
    valid_until = serializers.CharField(allow_null=True)
    labels = serializers.ListField(child=serializers.CharField())


class SoarcaStepResult(Shape):
    execution_id = serializers.UUIDField()
    run_id = serializers.UUIDField()
    step_id = serializers.CharField()
    step_run_id = serializers.UUIDField()
    step_execution_id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    started = serializers.DateTimeField()
    ended = serializers.DateTimeField(help_text="0001-01-01T00:00:00Z while it goes on.")
    status = serializers.CharField(
        help_text="ongoing, successfully_executed, failed, server_side_error, client_side_error, timeout_error or "
        "exception_condition_error"
    )
    status_text = serializers.CharField()
    executed_by = serializers.CharField()
    commands_b64 = serializers.ListField(child=serializers.CharField())
    variables = serializers.DictField(child=SoarcaVariable())
    automated_execution = serializers.BooleanField()
    automated_run = serializers.BooleanField()


class SoarcaReport(Shape):
    type = serializers.CharField(help_text="execution_status")
    execution_id = serializers.UUIDField()
    run_id = serializers.UUIDField()
    playbook_id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    started = serializers.DateTimeField()
    ended = serializers.DateTimeField(help_text="0001-01-01T00:00:00Z while it goes on.")
    status = serializers.CharField(help_text="ongoing, successfully_executed or failed")
    state = serializers.CharField(help_text="pending, running, paused, completed, failed or cancelled")
    status_text = serializers.CharField()
    step_results = serializers.DictField(
        child=SoarcaStepResult(), help_text="By step id; earlier visits of a loop as `<step id>#<n>`."
    )
    request_interval = serializers.IntegerField(help_text="Seconds between two looks.")


class SoarcaUptime(Shape):
    since = serializers.DateTimeField()
    milliseconds = serializers.IntegerField()


class SoarcaStatus(Shape):
    version = serializers.CharField()
    runtime = serializers.CharField()
    mode = serializers.CharField(help_text="production or development")
    time = serializers.DateTimeField()
    uptime = SoarcaUptime()
