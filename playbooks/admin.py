"""Playbooks in the admin: versions are read, never edited; literal secrets show as stars."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from playbooks import services
from playbooks.models import Asset, Playbook, PlaybookVersion, Trigger
from playbooks.selectors import document_of

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Trigger, Playbook]
else:
    ModelAdmin, TabularInline = admin.ModelAdmin, admin.TabularInline

SHOWN_CHARACTERS = 200_000


class ReadOnly(ModelAdmin):
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TriggerInline(TabularInline):
    model = Trigger
    extra = 0
    fields = ("event", "conditions", "cron", "is_enabled", "next_due_at", "last_fired_at", "last_error")
    readonly_fields = fields
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Playbook)
class PlaybookAdmin(ModelAdmin):
    """Only what an operator decides can be changed here; content comes by import."""

    list_display = ("name", "version_label", "is_enabled", "step_count", "dialect", "created_at", "slug", "tenant")
    list_filter = ("tenant", "dialect", "is_enabled", "is_listed")
    search_fields = ("name", "slug", "description", "cacao_id")
    list_select_related = ("tenant",)
    date_hierarchy = "created_at"
    ordering = ("-created_at", "id")
    inlines = (TriggerInline,)
    actions = ("enable", "disable")
    fields = (
        "tenant", "name", "slug", "cacao_id", "description", "dialect", "version_label", "tags", "step_count",
        "trigger", "derived_from", "starts", "is_listed", "is_enabled", "stop_on_failure", "created_at", "updated_at",
    )  # fmt: skip
    readonly_fields = tuple(name for name in fields if name not in ("is_enabled", "stop_on_failure"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Enable the selected playbooks", permissions=["change"])
    def enable(self, request: HttpRequest, chosen: Any) -> None:
        self._set(chosen, enabled=True)

    @admin.action(description="Disable the selected playbooks", permissions=["change"])
    def disable(self, request: HttpRequest, chosen: Any) -> None:
        self._set(chosen, enabled=False)

    def _set(self, chosen: Any, *, enabled: bool) -> None:
        now = timezone.now()
        for playbook in chosen:
            services.set_enabled(playbook=playbook, enabled=enabled, now=now)


@admin.register(PlaybookVersion)
class PlaybookVersionAdmin(ReadOnly):
    list_display = ("playbook", "number", "label", "dialect", "is_strict", "is_revoked", "created_at", "created_by")
    list_filter = ("tenant", "dialect", "is_strict", "is_revoked")
    search_fields = ("playbook__name", "playbook__cacao_id", "label", "jcs_digest")
    list_select_related = ("playbook",)
    ordering = ("-created_at", "id")
    fields = (
        "playbook", "number", "label", "dialect", "is_strict", "is_revoked", "valid_from", "valid_until",
        "jcs_digest", "is_sealed", "findings", "document_shown", "created_at", "created_by",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        versions = super().get_queryset(request)
        return versions.defer("document", "workflow", "findings")

    @admin.display(description="Document")
    def document_shown(self, version: PlaybookVersion) -> str:
        text = json.dumps(json.loads(document_of(version, reveal=False)), indent=2, ensure_ascii=False)
        cut = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}\n..."
        return format_html("<pre>{}</pre>", cut)


@admin.register(Trigger)
class TriggerAdmin(ModelAdmin):
    """Read, switched on and off. Documents and the API make them; the API shows a webhook's secret once."""

    list_display = (
        "event", "playbook", "tenant", "cron", "is_enabled", "next_due_at", "last_fired_at", "last_error",
    )  # fmt: skip
    list_filter = ("event", "is_enabled", "is_from_document", "tenant")
    search_fields = ("playbook__name", "playbook__slug", "event", "last_error")
    list_select_related = ("playbook", "tenant")
    ordering = ("-id",)
    actions = ("enable", "disable")
    fields = (
        "id", "tenant", "playbook", "event", "is_enabled", "is_from_document", "conditions", "parameters",
        "dedup_fields", "cron", "missed_policy", "next_due_at", "last_missed", "signature", "has_secret",
        "last_fired_at", "last_execution_id", "last_error", "last_error_at",
    )  # fmt: skip
    readonly_fields = tuple(name for name in fields if name != "is_enabled")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Trigger, form: Any, change: bool) -> None:
        services.set_trigger_enabled(trigger=obj, enabled=obj.is_enabled)

    @admin.display(description="Has a secret", boolean=True)
    def has_secret(self, trigger: Trigger) -> bool:
        return bool(trigger.sealed_secret)

    @admin.action(description="Enable the selected triggers", permissions=["change"])
    def enable(self, request: HttpRequest, chosen: Any) -> None:
        for trigger in chosen:
            services.set_trigger_enabled(trigger=trigger, enabled=True)

    @admin.action(description="Disable the selected triggers", permissions=["change"])
    def disable(self, request: HttpRequest, chosen: Any) -> None:
        for trigger in chosen:
            services.set_trigger_enabled(trigger=trigger, enabled=False)


@admin.register(Asset)
class AssetAdmin(ModelAdmin):
    list_display = ("reference", "tenant")
    list_filter = ("tenant",)
    search_fields = ("reference",)
