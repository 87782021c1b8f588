"""The shapes of the bodies of fins and keys, for the OpenAPI page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

from api.soarca.schema import SoarcaVariable

if TYPE_CHECKING:
    Shape = serializers.Serializer[Any]
else:
    Shape = serializers.Serializer


class FinTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "api.soarca.fin_access.FinTokens"
    name = "finToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "The token a fin got when it registered."}


NOTHING = OpenApiResponse(description="Done, or nothing there; no body.")
EMPTY = OpenApiResponse({"type": "object"}, description="An empty object.")
NAMES = OpenApiResponse({"type": "array", "items": {"type": "string"}}, description="Names only.")


class FinCapabilityShape(Shape):
    type = serializers.CharField(help_text="What agents of playbooks are matched with: by their type, then their name.")
    description = serializers.CharField(required=False, allow_null=True)
    version = serializers.CharField(required=False, allow_null=True)
    step_examples = serializers.ListField(required=False, allow_null=True)


class FinRegistration(Shape):
    registration_token = serializers.CharField()
    display_name = serializers.CharField(required=False, allow_null=True)
    protocol_version = serializers.CharField(required=False, allow_null=True)
    capabilities = FinCapabilityShape(many=True)


class FinRegistered(Shape):
    fin_id = serializers.UUIDField()
    fin_token = serializers.CharField(help_text="Shown only now; to be sent as a bearer token.")
    poll_interval_seconds = serializers.IntegerField()
    long_poll_timeout_seconds = serializers.IntegerField()
    job_lease_seconds = serializers.IntegerField()


class FinPoll(Shape):
    concurrency_available = serializers.IntegerField(required=False, allow_null=True)


class FinStep(Shape):
    name = serializers.CharField()
    description = serializers.CharField()
    timeout = serializers.IntegerField(allow_null=True, help_text="Seconds.")
    delay = serializers.IntegerField(allow_null=True, help_text="Seconds.")


class FinJobShape(Shape):
    job_id = serializers.UUIDField()
    execution_id = serializers.UUIDField()
    run_id = serializers.UUIDField()
    playbook_id = serializers.CharField()
    step_id = serializers.CharField()
    step_execution_id = serializers.UUIDField()
    step_run_id = serializers.UUIDField()
    capability_type = serializers.CharField()
    lease_expires_in_seconds = serializers.IntegerField()
    step = FinStep()
    commands = serializers.ListField(child=serializers.DictField())
    targets = serializers.ListField(child=serializers.DictField(), help_text="Each {target, authentication or null}.")
    variables = serializers.DictField(child=SoarcaVariable())


class FinPolled(Shape):
    job = FinJobShape()


class FinProgress(Shape):
    progress = serializers.CharField(required=False, allow_null=True)


class FinAction(Shape):
    action = serializers.CharField(allow_blank=True, help_text="Empty, or `cancel`.")


class FinTargetResult(Shape):
    target_index = serializers.IntegerField(required=False, allow_null=True)
    state = serializers.CharField(help_text="success or failure")
    failed_command_index = serializers.IntegerField(required=False, allow_null=True)
    variables = serializers.DictField(child=SoarcaVariable(), required=False)
    error = serializers.CharField(required=False, allow_null=True)


class FinResult(Shape):
    state = serializers.CharField(help_text="success or failure")
    variables = serializers.DictField(child=SoarcaVariable(), required=False)
    error = serializers.CharField(required=False, allow_null=True)
    target_results = FinTargetResult(many=True, required=False, allow_null=True)


class FinShown(Shape):
    fin_id = serializers.UUIDField()
    display_name = serializers.CharField()
    protocol_version = serializers.CharField()
    capabilities = FinCapabilityShape(many=True)
    registered_at = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()
    stale = serializers.BooleanField(help_text="It would get no job now.")
    transport = serializers.CharField(help_text="http or mqtt")
    name = serializers.CharField(help_text="The id that a fin over MQTT gives itself.")


class FinList(Shape):
    fins = FinShown(many=True)


class KeyPair(Shape):
    public = serializers.CharField(help_text="An SSH public key.")
    private = serializers.CharField(help_text="The private key; it is never shown again.")
    passphrase = serializers.CharField(required=False, allow_blank=True, allow_null=True)
