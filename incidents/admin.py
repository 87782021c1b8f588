"""Incidents to be looked at: they are moved through the API, which checks what their state allows.

Trackers and sources are set up here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from executions.admin import ReadOnly, ReadOnlyInline, coloured, pretty
from incidents.action_models import ActionRun
from incidents.models import Breach, Incident, IncidentEvent, Note
from incidents.outside_models import IssueTask, IssueTracker, SignalSource
from incidents.services import set_outside_token

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    OutsideForm = forms.ModelForm[Any]
else:
    ModelAdmin, OutsideForm = admin.ModelAdmin, forms.ModelForm


class NoteInline(ReadOnlyInline):
    model = Note
    fields = ("at", "verb", "by", "text")
    readonly_fields = fields
    ordering = ("id",)
    show_change_link = False


class BreachInline(ReadOnlyInline):
    model = Breach
    fields = ("phase", "severity", "due_at", "breached_at")
    readonly_fields = fields
    ordering = ("due_at",)
    show_change_link = False


class ActionRunInline(ReadOnlyInline):
    model = ActionRun
    fields = ("id", "action_type", "dry_run", "status", "approved_by", "message", "created_at", "completed_at")
    readonly_fields = fields
    ordering = ("id",)


@admin.register(Incident)
class IncidentAdmin(ReadOnly):
    list_display = (
        "id", "summary", "kind", "severity", "state", "tenant", "assigned_to", "created_at", "next_due_at",
    )  # fmt: skip
    list_filter = ("status", "severity", "kind", "tenant", "created_at")
    search_fields = ("=id", "key", "summary", "assigned_to", "acknowledged_by")
    list_select_related = ("tenant",)
    ordering = ("-created_at", "-id")
    inlines = (NoteInline, BreachInline, ActionRunInline)
    fields = (
        "tenant", "kind", "key", "severity", "state", "summary", "playbooks", "shown_details", "shown_metadata",
        "issue_url", "assigned_to", "acknowledged_by", "made_by", "created_at", "updated_at", "acknowledged_at",
        "mitigated_at", "resolved_at", "closed_at", "next_due_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="details")
    def shown_details(self, row: Incident) -> str:
        return pretty(row.details)

    @admin.display(description="metadata")
    def shown_metadata(self, row: Incident) -> str:
        return pretty(row.metadata)


@admin.register(Breach)
class BreachAdmin(ReadOnly):
    list_display = ("incident", "phase", "severity", "tenant", "due_at", "breached_at")
    list_filter = ("phase", "severity", "tenant", "breached_at")
    search_fields = ("=incident__id", "incident__key", "incident__summary")
    list_select_related = ("incident", "tenant")
    ordering = ("-breached_at", "-id")


@admin.register(ActionRun)
class ActionRunAdmin(ReadOnly):
    list_display = (
        "id", "incident", "action_type", "dry_run", "state", "tenant", "approved_by", "created_at", "completed_at",
    )  # fmt: skip
    list_filter = ("status", "dry_run", "action_type", "tenant", "created_at")
    search_fields = ("=id", "=incident__id", "action_type", "approved_by", "message")
    list_select_related = ("incident", "tenant")
    ordering = ("-created_at", "-id")


@admin.register(IncidentEvent)
class IncidentEventAdmin(ReadOnly):
    list_display = ("number", "tenant", "type", "data", "at")
    list_filter = ("type", "tenant", "at")
    list_select_related = ("tenant",)
    ordering = ("-at", "-number")


class TokenForm(OutsideForm):
    new_token = forms.CharField(
        required=False,
        widget=forms.PasswordInput(render_value=False),
        help_text="It is sealed and never shown again. Leave it empty to keep the one that is stored.",
    )


class IssueTrackerForm(TokenForm):
    class Meta:
        model = IssueTracker
        fields = ("tenant", "provider", "config", "allow_networks", "is_enabled")

    def clean_config(self) -> dict[str, Any]:
        config = self.cleaned_data["config"]
        if not isinstance(config, dict):
            raise ValidationError("Must be an object.")
        secret = sorted(name for name in config if "token" in name.lower() or "password" in name.lower())
        if secret:
            raise ValidationError(f"{', '.join(secret)}: put it in the field for the token, where it is sealed.")
        return config


class SignalSourceForm(TokenForm):
    url = forms.URLField(
        assume_scheme="https", max_length=2000, help_text='GET of it answers {"signals": [...]}, 1,000 at most.'
    )

    class Meta:
        model = SignalSource
        fields = ("tenant", "name", "url", "allow_networks", "period_seconds", "next_at", "is_enabled")


class WithToken(ModelAdmin):
    list_select_related = ("tenant",)

    @admin.display(boolean=True, description="has a token")
    def has_token(self, row: IssueTracker | SignalSource) -> bool:
        return bool(row.sealed_token)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.cleaned_data.get("new_token"):
            set_outside_token(row=obj, token=form.cleaned_data["new_token"])


@admin.register(IssueTracker)
class IssueTrackerAdmin(WithToken):
    form = IssueTrackerForm
    list_display = ("tenant", "provider", "is_enabled", "has_token")
    list_filter = ("provider", "is_enabled", "tenant")


@admin.register(SignalSource)
class SignalSourceAdmin(WithToken):
    form = SignalSourceForm
    list_display = (
        "name", "tenant", "url", "is_enabled", "has_token", "period_seconds", "next_at", "last_pulled_at", "last_error",
    )  # fmt: skip
    list_filter = ("is_enabled", "tenant")
    search_fields = ("name", "url", "last_error")


@admin.register(IssueTask)
class IssueTaskAdmin(ReadOnly):
    list_display = ("incident", "verb", "progress", "tries", "created_at", "due_at", "ended_at", "last_error")
    list_filter = ("verb", "tenant", "created_at")
    search_fields = ("=incident__id", "last_error")
    ordering = ("-created_at", "-id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("incident")

    @admin.display(description="status")
    def progress(self, row: IssueTask) -> str:
        if row.ended_at is None:
            return coloured("pending")
        return coloured("failed" if row.last_error else "completed")
