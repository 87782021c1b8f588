"""Fins as people see them, what their capabilities may be trusted with, and the token by which they register."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from connectors.fin.models import Fin, FinRule, FinToken
from connectors.fin.services import TokenTooShort, check_token, set_registration_token, unregister

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
    TokenModelForm = forms.ModelForm[FinToken]
else:
    AnyModelAdmin, TokenModelForm = admin.ModelAdmin, forms.ModelForm


@admin.register(Fin)
class FinAdmin(AnyModelAdmin):
    """Fins register themselves; here they are looked at and taken out."""

    list_display = ("__str__", "transport", "serves", "registered_at", "seen_at", "gone_at", "tenant")
    list_filter = ("transport",)
    list_select_related = ("tenant",)
    ordering = ("-registered_at", "id")
    readonly_fields = (
        *("tenant", "transport", "name", "display_name", "protocol_version", "serves"),
        *("registered_at", "seen_at", "gone_at"),
    )
    fields = readonly_fields

    @admin.display(description="capabilities")
    def serves(self, fin: Fin) -> str:
        return ", ".join(capability.key for capability in fin.capabilities.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Fin]:
        found: QuerySet[Fin] = super().get_queryset(request)
        return found.filter(removed_at=None).prefetch_related("capabilities")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Fin) -> None:
        unregister(fin=obj, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Fin]) -> None:
        for fin in queryset:
            unregister(fin=fin, now=timezone.now())


@admin.register(FinRule)
class FinRuleAdmin(AnyModelAdmin):
    list_display = ("capability", "effect", "tenant")
    list_filter = ("effect",)
    list_select_related = ("tenant",)
    ordering = ("capability", "id")


class FinTokenForm(TokenModelForm):
    new_token = forms.CharField(
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="16 characters or more. Fins that registered before keep their own tokens.",
    )

    class Meta:
        model = FinToken
        fields = ("tenant",)

    def clean_new_token(self) -> str:
        token: str = self.cleaned_data["new_token"]
        try:
            check_token(token)
        except TokenTooShort as error:
            raise ValidationError(error.message) from None
        return token


@admin.register(FinToken)
class FinTokenAdmin(AnyModelAdmin):
    form = FinTokenForm
    list_display = ("tenant", "changed_at")
    list_select_related = ("tenant",)
    ordering = ("tenant", "id")
    readonly_fields = ("changed_at",)

    def get_readonly_fields(self, request: HttpRequest, obj: FinToken | None = None) -> tuple[str, ...]:
        return ("changed_at",) if obj is None else ("changed_at", "tenant")

    def save_model(self, request: HttpRequest, obj: FinToken, form: Any, change: bool) -> None:
        saved = set_registration_token(tenant=obj.tenant, token=form.cleaned_data["new_token"], now=timezone.now())
        obj.pk = saved.pk
