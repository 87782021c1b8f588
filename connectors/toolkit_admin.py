"""Toolkits in the admin: OAuth clients, the secrets of signed actions, breakers, and the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from connectors.connecting import check_app, save_app
from connectors.signing_secrets import check_secret, set_signing_secret
from connectors.toolkit_models import SoarSettings, ToolkitApp, ToolkitBreaker, ToolkitCall
from core.errors import DomainError

if TYPE_CHECKING:
    AnyAdmin = admin.ModelAdmin[Any]
    AppModelForm = forms.ModelForm[ToolkitApp]
    SoarModelForm = forms.ModelForm[SoarSettings]
else:
    AnyAdmin, AppModelForm, SoarModelForm = admin.ModelAdmin, forms.ModelForm, forms.ModelForm


class NeverShown(forms.PasswordInput):
    """A field that never shows what it was given."""

    def __init__(self) -> None:
        super().__init__(attrs={"autocomplete": "new-password"}, render_value=False)


class OfOwnTenant(AnyAdmin):
    """People of a tenant see its rows; those without one run the deployment and see all."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows, own = super().get_queryset(request), getattr(request.user, "tenant_id", None)
        return rows if own is None else rows.filter(tenant_id=own)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        own = getattr(request.user, "tenant_id", None)
        if db_field.name == "tenant" and own is not None:
            kwargs["queryset"] = db_field.related_model.objects.filter(pk=own)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class AppForm(AppModelForm):
    client_secret = forms.CharField(
        required=False, strip=False, widget=NeverShown(), help_text="Empty leaves the stored one, which is never shown."
    )

    class Meta:
        model = ToolkitApp
        fields = ("tenant", "toolkit", "client_id", "authorize_url", "token_url", "api_url", "scopes")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            urls = {name: cleaned[name] for name in ("authorize_url", "token_url", "api_url")}
            try:
                check_app(
                    toolkit=cleaned.get("toolkit") or self.instance.toolkit,
                    client_secret=cleaned["client_secret"],
                    **urls,
                )
            except DomainError as error:
                raise ValidationError(error.message) from None
        return cleaned


@admin.register(ToolkitApp)
class ToolkitAppAdmin(OfOwnTenant):
    form = AppForm
    list_display = ("toolkit", "client_id", "api_url", "has_secret", "tenant")
    list_select_related = ("tenant",)
    ordering = ("toolkit", "id")

    @admin.display(boolean=True, description="secret")
    def has_secret(self, app: ToolkitApp) -> bool:
        return bool(app.sealed_client_secret)

    def get_readonly_fields(self, request: HttpRequest, obj: ToolkitApp | None = None) -> tuple[str, ...]:
        return ("tenant", "toolkit") if obj else ()

    def save_model(self, request: HttpRequest, obj: ToolkitApp, form: Any, change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in ("client_id", "authorize_url", "token_url", "api_url")}
        saved = save_app(
            tenant=obj.tenant,
            toolkit=obj.toolkit,
            client_secret=form.cleaned_data["client_secret"],
            scopes=form.cleaned_data["scopes"],
            **given,
        )
        obj.pk = saved.pk


class SoarForm(SoarModelForm):
    new_secret = forms.CharField(
        required=False,
        strip=False,
        widget=NeverShown(),
        help_text="Set a new secret, 32 characters or more; the one before stays good for an hour. Empty leaves it.",
    )

    class Meta:
        model = SoarSettings
        fields = ("tenant", "require_timestamp")

    def clean_new_secret(self) -> str:
        secret = str(self.cleaned_data["new_secret"])
        if secret:
            try:
                check_secret(secret)
            except DomainError as error:
                raise ValidationError(error.message) from None
        return secret


@admin.register(SoarSettings)
class SoarSettingsAdmin(OfOwnTenant):
    form = SoarForm
    list_display = ("tenant", "has_secret", "require_timestamp", "old_secret_until")
    list_select_related = ("tenant",)
    ordering = ("tenant__name",)

    @admin.display(boolean=True, description="own secret")
    def has_secret(self, found: SoarSettings) -> bool:
        return bool(found.sealed_secret)

    def get_readonly_fields(self, request: HttpRequest, obj: SoarSettings | None = None) -> tuple[str, ...]:
        return ("tenant",) if obj else ()

    def save_model(self, request: HttpRequest, obj: SoarSettings, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.cleaned_data["new_secret"]:
            set_signing_secret(tenant=obj.tenant, secret=form.cleaned_data["new_secret"], now=timezone.now())


class Shown(OfOwnTenant):
    """Rows that are read here and written elsewhere."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(ToolkitBreaker)
class ToolkitBreakerAdmin(Shown):
    list_display = ("toolkit", "tenant", "failures", "next_at")
    list_select_related = ("tenant",)
    ordering = ("toolkit", "id")


@admin.register(ToolkitCall)
class ToolkitCallAdmin(Shown):
    list_display = (
        *(
            "requested_at",
            "toolkit_name",
            "action_name",
            "status",
            "retry_count",
            "action_id",
            "execution_ref",
            "tenant",
        ),
    )
    list_filter = ("status", "toolkit_name")
    search_fields = ("=execution_ref", "=action_id", "action_name")
    list_select_related = ("tenant",)
    ordering = ("-requested_at", "-id")
