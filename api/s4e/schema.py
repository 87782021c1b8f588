"""The shapes of this family's answers, for the OpenAPI page. The answers themselves are made in ``outputs.py``."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

from api.s4e.inputs import S4EPlaybookShape, S4ETriggerShape

if TYPE_CHECKING:
    Shape = serializers.Serializer[Any]
else:
    Shape = serializers.Serializer

FREE = OpenApiTypes.OBJECT
LIST_QUERY = [
    OpenApiParameter("search", str, description="Search in playbook name and description."),
    OpenApiParameter("tag", str, description="Filter by tag."),
    OpenApiParameter("page", int, default=1, description="Page number."),
    OpenApiParameter("per_page", int, default=20, description="Results per page (max 100)."),
]


class S4EPlaybookMade(Shape):
    id = serializers.CharField()
    name = serializers.CharField()
    version = serializers.CharField()
    step_count = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class S4EPlaybookItem(S4EPlaybookMade):
    description = serializers.CharField()
    trigger = S4ETriggerShape()
    tags = serializers.ListField(child=serializers.CharField())
    updated_at = serializers.DateTimeField()


class S4EPlaybookDetail(S4EPlaybookShape):
    id = serializers.CharField()
    step_count = serializers.IntegerField()
    created_at = serializers.DateTimeField(allow_null=True)
    updated_at = serializers.DateTimeField(allow_null=True)


class S4EPlaybookImported(S4EPlaybookMade):
    warnings = serializers.ListField(child=serializers.CharField())
    findings = serializers.ListField(child=serializers.JSONField())


class S4EPlaybookPreview(S4EPlaybookDetail):
    warnings = serializers.ListField(child=serializers.CharField())
    findings = serializers.ListField(child=serializers.JSONField())
    dry_run = serializers.BooleanField()


class S4EStarted(Shape):
    execution_id = serializers.CharField()
    playbook_id = serializers.CharField()
    status = serializers.CharField()
    started_at = serializers.DateTimeField()
    stream = serializers.CharField(help_text="Path of the websocket that tells every event of the execution.")


class S4EFault(Shape):
    code = serializers.CharField()
    message = serializers.CharField()


class S4EExecutionShown(Shape):
    execution_id = serializers.CharField()
    playbook_id = serializers.CharField()
    playbook_name = serializers.CharField()
    status = serializers.CharField(help_text="pending, running, paused, completed, failed or cancelled")
    current_step = serializers.CharField(allow_null=True)
    steps_completed = serializers.IntegerField()
    steps_total = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    duration_seconds = serializers.IntegerField(allow_null=True)
    error = S4EFault(required=False)
    dry_run = serializers.BooleanField(required=False)


class S4EStepShown(Shape):
    step_id = serializers.CharField()
    step_name = serializers.CharField()
    type = serializers.CharField()
    status = serializers.CharField(help_text="pending, running, completed, failed, waiting or skipped")
    output = serializers.JSONField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    error = S4EFault(required=False)


class S4EDecision(Shape):
    execution_id = serializers.CharField()
    step_id = serializers.CharField()
    decision = serializers.CharField(help_text="approved, rejected, or pending while more votes are needed")
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    votes = serializers.JSONField(
        required=False, help_text="Where several votes are needed: {approved, rejected, needed}."
    )


class S4EMeta(Shape):
    total = serializers.IntegerField()
    page = serializers.IntegerField()
    per_page = serializers.IntegerField()


@cache
def one(shape: type[Shape]) -> Any:
    """``{"data": {...}}``"""
    return inline_serializer(f"{shape.__name__}Answer", {"data": shape()})


@cache
def several(shape: type[Shape]) -> Any:
    """``{"data": [...]}``"""
    return inline_serializer(f"{shape.__name__}List", {"data": shape(many=True)})


@cache
def paged(shape: type[Shape]) -> Any:
    """``{"data": [...], "meta": {...}}``"""
    return inline_serializer(f"{shape.__name__}Page", {"data": shape(many=True), "meta": S4EMeta()})
