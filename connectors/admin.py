"""Connections, with their secrets to be set and never shown (SEC-21)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from connectors import toolkit_admin  # noqa: F401  (its pages belong to this app)
from connectors.connection_settings import secret_field
from connectors.fin import admin as fin_admin  # noqa: F401  (registers its pages)
from connectors.key_models import ManagedKey
from connectors.models import Connection
from connectors.registry import CONNECTION_KINDS
from connectors.services import check_connection, save_connection
from core.errors import DomainError

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
    ModelAdmin = admin.ModelAdmin[Connection]
    ModelForm = forms.ModelForm[Connection]
else:
    AnyModelAdmin = ModelAdmin = admin.ModelAdmin
    ModelForm = forms.ModelForm


class WriteOnly(forms.Textarea):
    """A text area that never shows what it was given, not even after a refused form."""

    def format_value(self, value: Any) -> str:
        return ""


class ConnectionForm(ModelForm):
    new_secret = forms.CharField(
        required=False,
        strip=False,
        widget=WriteOnly(attrs={"rows": 2, "autocomplete": "off", "spellcheck": "false"}),
        help_text="Set new secret: token, password or private key. Empty leaves the stored one, which is never shown.",
    )

    class Meta:
        model = Connection
        fields = ("tenant", "kind", "name", "url", "settings", "is_keyed", "allow_networks", "hosts", "is_enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            self.fields["kind"] = forms.ChoiceField(choices=[(kind, kind) for kind in CONNECTION_KINDS])

    def clean(self) -> dict[str, Any]:
        """Ask the service, so that the form and the command refuse the same things in the same words."""
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                check_connection(**self.values())
            except DomainError as error:
                raise ValidationError(error.message) from None
        return cleaned

    def values(self) -> dict[str, Any]:
        """Return the arguments of ``save_connection``. Tenant, kind and name of a stored connection stay."""
        cleaned, stored = self.cleaned_data, self.instance
        kind = cleaned.get("kind") or stored.kind
        settings = cleaned.get("settings") or {}
        secret = (cleaned.get("new_secret") or "").strip("\r\n").replace("\r\n", "\n")
        return {
            "tenant": cleaned.get("tenant") or stored.tenant,
            "kind": kind,
            "name": cleaned.get("name") or stored.name,
            "url": cleaned["url"],
            "settings": settings,
            "secrets": {secret_field(kind, secret, settings): secret} if secret else None,
            "keyed": cleaned["is_keyed"],
            "allow_networks": cleaned["allow_networks"] or [],
            "hosts": cleaned["hosts"] or [],
            "enabled": cleaned["is_enabled"],
        }


@admin.register(Connection)
class ConnectionAdmin(ModelAdmin):
    form = ConnectionForm
    list_display = ("name", "kind", "url", "is_keyed", "is_enabled", "has_secret", "last_error", "tenant")
    search_fields = ("=id", "name", "url", "last_error")
    list_select_related = ("tenant",)
    ordering = ("name", "id")
    readonly_fields = ("has_secret", "last_error", "created_at", "updated_at")

    @admin.display(boolean=True, description="secret")
    def has_secret(self, connection: Connection) -> bool:
        return bool(connection.sealed_secrets)

    def get_list_filter(self, request: HttpRequest) -> tuple[str, ...]:
        """A filter lists every tenant's name, so only those who run the deployment get it."""
        own = getattr(request.user, "tenant_id", None)
        return ("kind", "is_enabled", "is_keyed", *(() if own else ("tenant",)))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        return _of_own_tenant(super().get_queryset(request), request)

    def get_readonly_fields(self, request: HttpRequest, obj: Connection | None = None) -> tuple[str, ...]:
        """Tenant, kind and name are what a connection is: they are given once."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if obj is None else (*fields, "tenant", "kind", "name")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        tenant = getattr(request.user, "tenant_id", None)
        if db_field.name == "tenant" and tenant is not None:
            kwargs["queryset"] = db_field.related_model.objects.filter(pk=tenant)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        saved = save_connection(**form.values(), now=timezone.now())
        obj.pk = saved.pk


@admin.register(ManagedKey)
class ManagedKeyAdmin(AnyModelAdmin):
    """Names and public keys. Pairs come in by the API; here they are looked at and revoked."""

    list_display = ("name", "created_at", "updated_at", "tenant")
    search_fields = ("=id", "name")
    list_select_related = ("tenant",)
    ordering = ("name", "id")
    readonly_fields = ("tenant", "name", "public", "created_at", "updated_at")
    fields = readonly_fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


def _of_own_tenant(rows: QuerySet[Connection], request: HttpRequest) -> QuerySet[Connection]:
    """People of a tenant see its rows; those without one run the deployment and see all."""
    tenant = getattr(request.user, "tenant_id", None)
    return rows if tenant is None else rows.filter(tenant_id=tenant)
