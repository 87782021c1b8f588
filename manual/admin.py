"""Questions to people, to be looked at: they are answered through the API, which checks who may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest

from manual.models import ManualRequest

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[ManualRequest]
else:
    ModelAdmin = admin.ModelAdmin


@admin.register(ManualRequest)
class ManualRequestAdmin(ModelAdmin):
    list_display = (
        "requested_at",
        "kind",
        "status",
        "step_id",
        "playbook_cacao_id",
        "deadline_at",
        "answered_by",
        "tenant",
    )
    list_filter = ("status", "kind", "tenant", "requested_at")
    search_fields = ("=id", "=execution__id", "=step_run__id", "step_id", "playbook_cacao_id", "text", "answered_by")
    list_select_related = ("tenant",)
    date_hierarchy = "requested_at"
    ordering = ("-requested_at", "-id")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ManualRequest | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ManualRequest | None = None) -> bool:
        return False
