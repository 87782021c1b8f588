"""Questions to people, to be looked at: they are answered through the API, which checks who may.

Approval policies are made here as well as in the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from manual.models import ApprovalPolicy, ManualRequest, Vote
from manual.policies import faults_of

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    PolicyModelForm = forms.ModelForm[ApprovalPolicy]
else:
    AnyModelAdmin, TabularInline, PolicyModelForm = admin.ModelAdmin, admin.TabularInline, forms.ModelForm


class ReadOnly:
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VoteInline(ReadOnly, TabularInline):
    model = Vote
    extra = 0
    fields = ("voted_at", "name", "approves", "comment")
    readonly_fields = fields


@admin.register(ManualRequest)
class ManualRequestAdmin(ReadOnly, AnyModelAdmin):
    list_display = (
        "requested_at",
        "kind",
        "status",
        "step_id",
        "playbook_cacao_id",
        "votes_needed",
        "deadline_at",
        "answered_by",
        "tenant",
    )
    list_filter = ("status", "kind", "tenant", "requested_at")
    search_fields = ("=id", "=execution__id", "=step_run__id", "step_id", "playbook_cacao_id", "text", "answered_by")
    list_select_related = ("tenant",)
    date_hierarchy = "requested_at"
    ordering = ("-requested_at", "-id")
    inlines = (VoteInline,)


class PolicyForm(PolicyModelForm):
    class Meta:
        model = ApprovalPolicy
        fields = (
            "tenant", "name", "covers", "playbook", "connection", "operation", "effects", "votes", "approvers",
            "four_eyes", "first_no_decides", "deadline", "is_enabled",
        )  # fmt: skip

    def _post_clean(self) -> None:
        """Refuse what the API refuses, in the same words, once the row is what it would be."""
        super()._post_clean()  # type: ignore[misc]  # Django's own hook, which the stubs leave out
        if self.errors:
            return
        for fault in faults_of(self.instance):
            self.add_error(fault.path, ValidationError(fault.message))


@admin.register(ApprovalPolicy)
class ApprovalPolicyAdmin(AnyModelAdmin):
    form = PolicyForm
    list_display = (
        "name",
        "covers",
        "playbook",
        "connection",
        "operation",
        "votes",
        "four_eyes",
        "is_enabled",
        "tenant",
    )
    list_filter = ("covers", "is_enabled", "tenant")
    search_fields = ("name", "operation")
    list_select_related = ("playbook", "connection", "tenant")
    ordering = ("name", "id")

    def save_model(self, request: HttpRequest, obj: ApprovalPolicy, form: Any, change: bool) -> None:
        obj.updated_at = timezone.now()
        if not change:
            obj.created_at = obj.updated_at
        super().save_model(request, obj, form, change)
