"""Triggers, events and signed requests: the bodies that come in, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rest_framework import serializers

from api.fields import Choice, Flag, Input, JSONObject, Text, WholeNumber
from core.errors import DomainError
from executions.engine.triggers import validate_conditions
from executions.matching import check_pattern
from executions.models import Execution
from executions.services import Taken
from playbooks.events import EMITTED, EVENTS
from playbooks.models import Trigger
from playbooks.schedules import LONGEST_CRON, MissedPolicy, NeverFires, upcoming
from playbooks.services.triggers import LONGEST_OVERLAP, MOST_FIELDS

if TYPE_CHECKING:
    Shape = serializers.Serializer[Any]
else:
    Shape = serializers.Serializer

PREVIEWED: Final = 5
MOST_CONDITIONS: Final = 50
LONGEST_ID: Final = 255


class Conditions(JSONObject):
    """Fields of the event's data and what they must be, as S4E playbooks write them."""

    def to_internal_value(self, data: Any) -> Mapping[str, Any]:
        found = super().to_internal_value(data)
        if len(found) > MOST_CONDITIONS:
            raise serializers.ValidationError([f"At most {MOST_CONDITIONS} fields."])
        faults = validate_conditions(found, check_pattern)
        if faults:
            raise serializers.ValidationError({path[:200]: [message[:500]] for path, message in faults[:20]})
        return found


class Paths(serializers.ListField):
    """Dotted paths into the event's data."""

    child = Text()
    default_error_messages = {"not_a_list": "Must be an array."}


class PathsByName(JSONObject):
    def to_internal_value(self, data: Any) -> Mapping[str, Any]:
        found = super().to_internal_value(data)
        wrong = {name[:100]: ["Must be text."] for name, path in found.items() if not isinstance(path, str)}
        if wrong:
            raise serializers.ValidationError(dict(list(wrong.items())[:20]))
        return found


class NativeTriggerChange(Input):
    enabled = Flag(required=False, help_text="A disabled trigger starts nothing by itself.")
    conditions = Conditions(required=False, help_text="All must hold; without conditions every event does.")
    cron = Text(required=False, max_length=LONGEST_CRON, help_text="Minute, hour, day, month, day of week; UTC.")
    missed_policy = Choice(required=False, choices=[str(word) for word in MissedPolicy])
    dedup_fields = Paths(
        required=False, max_length=MOST_FIELDS, help_text="Paths into the data that make two events the same."
    )
    signature = Choice(required=False, choices=[str(word) for word in Trigger.Signature])
    parameters = PathsByName(
        required=False,
        help_text="What the start is given: name of a parameter (CACAO: external variable) to path into the data.",
    )


class NativeTriggerInput(NativeTriggerChange):
    playbook = Text(max_length=300, help_text="pb-<slug> or playbook--<uuid>.")
    event = Choice(choices=[event for event in EVENTS if event != "manual"])


class NativeRotateInput(Input):
    overlap_seconds = WholeNumber(
        required=False,
        default=3600,
        min_value=0,
        max_value=int(LONGEST_OVERLAP.total_seconds()),
        help_text="How long the old secret stays good.",
    )


class NativeFireInput(Input):
    data = JSONObject(  # type: ignore[assignment]  # the field takes the place of DRF's property
        required=False, default=dict, help_text="What the steps see as the event's object."
    )


class NativeEventInput(Input):
    event = Choice(choices=EMITTED)
    id = Text(required=False, max_length=LONGEST_ID, help_text="The source's id: the same id again starts nothing new.")
    data = JSONObject(help_text="The finding (or alert, scan, anomaly) itself.")  # type: ignore[assignment]


class NativeTriggerPlaybook(Shape):
    id = serializers.CharField()
    cacao_id = serializers.CharField()
    name = serializers.CharField()


class NativeTrigger(Shape):
    id = serializers.UUIDField()
    playbook = NativeTriggerPlaybook()
    event = serializers.CharField()
    enabled = serializers.BooleanField()
    from_document = serializers.BooleanField()
    conditions = serializers.JSONField()
    parameters = serializers.JSONField()
    dedup_fields = serializers.ListField(child=serializers.CharField())
    cron = serializers.CharField(allow_null=True)
    missed_policy = serializers.CharField(allow_null=True)
    next_due_at = serializers.DateTimeField(allow_null=True)
    next_fires = serializers.ListField(child=serializers.DateTimeField())
    last_missed = serializers.CharField(allow_null=True)
    hook = serializers.CharField(allow_null=True)
    signature = serializers.CharField(allow_null=True)
    has_secret = serializers.BooleanField()
    last_fired_at = serializers.DateTimeField(allow_null=True)
    last_execution_id = serializers.UUIDField(allow_null=True)
    last_error = serializers.CharField(allow_null=True)
    last_error_at = serializers.DateTimeField(allow_null=True)


class NativeTriggerMade(NativeTrigger):
    secret = serializers.CharField(allow_null=True, help_text="Shown this once.")


class NativeTriggerPage(Shape):
    items = NativeTrigger(many=True)
    next = serializers.CharField(allow_null=True)


class NativeFires(Shape):
    cron = serializers.CharField()
    next_fires = serializers.ListField(child=serializers.DateTimeField())


class NativeStarted(Shape):
    execution_id = serializers.UUIDField()
    number = serializers.IntegerField()
    playbook_id = serializers.CharField()
    stream = serializers.CharField()


class NativeRefused(Shape):
    trigger_id = serializers.UUIDField()
    playbook_id = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class NativeHookTaken(Shape):
    trigger_id = serializers.UUIDField()
    started = NativeStarted(many=True)
    why = serializers.CharField(required=False, help_text="Why nothing was started.")


class NativeEventTaken(Shape):
    event = serializers.CharField()
    id = serializers.CharField()
    started = NativeStarted(many=True)
    refused = NativeRefused(many=True)
    why = serializers.CharField(required=False, help_text="Why nothing was started.")


def shown(trigger: Trigger, *, now: datetime) -> dict[str, Any]:
    """A trigger as this family shows it; never its secret."""
    is_schedule, is_hook = trigger.event == "schedule", trigger.event == "webhook"
    return {
        "id": str(trigger.pk),
        "playbook": {
            "id": f"pb-{trigger.playbook.slug}",
            "cacao_id": trigger.playbook.cacao_id,
            "name": trigger.playbook.name,
        },
        "event": trigger.event,
        "enabled": trigger.is_enabled,
        "from_document": trigger.is_from_document,
        "conditions": trigger.conditions,
        "parameters": trigger.parameters,
        "dedup_fields": trigger.dedup_fields,
        "cron": trigger.cron if is_schedule else None,
        "missed_policy": trigger.missed_policy if is_schedule else None,
        "next_due_at": _time(trigger.next_due_at),
        "next_fires": _next_fires(trigger, now) if is_schedule and trigger.is_enabled else [],
        "last_missed": trigger.last_missed or None,
        "hook": f"/api/native/hooks/{trigger.pk}" if is_hook else None,
        "signature": trigger.signature if is_hook else None,
        "has_secret": bool(trigger.sealed_secret),
        "last_fired_at": _time(trigger.last_fired_at),
        "last_execution_id": None if trigger.last_execution_id is None else str(trigger.last_execution_id),
        "last_error": trigger.last_error or None,
        "last_error_at": _time(trigger.last_error_at),
    }


def fires(cron: str, now: datetime) -> list[str]:
    """The next fires of a line, as text. Raises NeverFires."""
    return [str(_time(fire)) for fire in upcoming(cron, now, PREVIEWED)]


def started(executions: Sequence[Execution]) -> list[dict[str, Any]]:
    return [
        {
            "execution_id": str(execution.pk),
            "number": execution.number,
            "playbook_id": f"pb-{execution.playbook.slug}",
            "stream": f"/ws/executions/{execution.pk}",
        }
        for execution in executions
    ]


def taken(event: str, found: Taken) -> dict[str, Any]:
    """What an event came to."""
    body: dict[str, Any] = {
        "event": event,
        "id": found.event_id,
        "started": started(found.started),
        "refused": [
            {
                "trigger_id": str(refused.trigger.pk),
                "playbook_id": f"pb-{refused.trigger.playbook.slug}",
                **_said(refused.error),
            }
            for refused in found.refused
        ],
    }
    if not found.started:
        body["why"] = "Every playbook that answers was refused." if found.refused else "No enabled trigger answers."
    return body


def _said(error: DomainError) -> dict[str, str]:
    return {"code": error.code, "message": error.message}


def _next_fires(trigger: Trigger, now: datetime) -> list[str]:
    try:
        return fires(trigger.cron, now)
    except NeverFires:
        return []  # the sweep switches it off and says why


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")
