"""The admin's front door, and its walls between tenants.

Every model that is registered is scoped here, so that no admin class can forget it: people of a tenant see the rows
of their tenant only. Those without a tenant run the deployment and see all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import FieldDoesNotExist
from django.db.models import ForeignKey, Model, QuerySet

from accounts.models import Tenant

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    AnyModelAdmin = admin.ModelAdmin


class LoginForm(AdminAuthenticationForm):
    def get_invalid_login_error(self) -> forms.ValidationError:
        wait = self.request.META.get("sallyport.login_retry_after") if self.request else None
        if wait:
            return forms.ValidationError(f"Too many failed logins. Try again in {wait} s.", code="too_many")
        return super().get_invalid_login_error()


def tenant_of_visitor(request: Any) -> Any:
    """Return the id of the tenant whose rows the visitor may see; None for those who run the deployment."""
    return getattr(request.user, "tenant_id", None)


def tenant_lookup(model: type[Model]) -> str | None:
    """Return how rows of the model lead to their tenant (``execution__tenant``); None when they belong to none."""
    if model is Tenant:
        return "pk"
    if _has_tenant(model):
        return "tenant"
    for field in model._meta.get_fields():
        if isinstance(field, ForeignKey) and _has_tenant(field.related_model):
            return f"{field.name}__tenant"
    return None


def _has_tenant(model: Any) -> bool:
    try:
        return getattr(model._meta.get_field("tenant"), "related_model", None) is Tenant
    except FieldDoesNotExist:
        return False


class TenantScoped(AnyModelAdmin):
    """Laid over every registered ModelAdmin. A model whose rows belong to no tenant is hidden from people of one."""

    def get_queryset(self, request: Any) -> QuerySet[Any]:
        return self._scoped(super().get_queryset(request), request)

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = self._limited(super().formfield_for_foreignkey(db_field, request, **kwargs), request)
        own = tenant_of_visitor(request)
        if field is not None and own is not None and db_field.related_model is Tenant:
            # A row without a tenant belongs to the deployment: people of a tenant make none.
            field.required, field.empty_label, field.initial = True, None, own
        return field

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        return self._limited(super().formfield_for_manytomany(db_field, request, **kwargs), request)

    def get_list_filter(self, request: Any) -> Any:
        """Filters over related rows list all tenants' rows by name: people of a tenant do not get them."""
        filters = super().get_list_filter(request)
        if tenant_of_visitor(request) is None:
            return filters
        return [chosen for chosen in filters if not self._lists_rows(chosen)]

    def has_module_permission(self, request: Any) -> bool:
        return not self._is_hidden(request) and super().has_module_permission(request)

    def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        return not self._is_hidden(request) and super().has_view_permission(request, obj)

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return not self._is_hidden(request) and super().has_change_permission(request, obj)

    def has_add_permission(self, request: Any) -> bool:
        return not self._is_hidden(request) and super().has_add_permission(request)

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return not self._is_hidden(request) and super().has_delete_permission(request, obj)

    def _is_hidden(self, request: Any) -> bool:
        return tenant_of_visitor(request) is not None and tenant_lookup(self.model) is None

    def _scoped(self, rows: QuerySet[Any], request: Any) -> QuerySet[Any]:
        tenant, lookup = tenant_of_visitor(request), tenant_lookup(rows.model)
        if tenant is None:
            return rows
        return rows.filter(**{lookup: tenant}) if lookup else rows.none()

    def _limited(self, field: Any, request: Any) -> Any:
        if field is not None and getattr(field, "queryset", None) is not None:
            field.queryset = self._scoped(field.queryset, request)
        return field

    def _lists_rows(self, chosen: Any) -> bool:
        name = chosen[0] if isinstance(chosen, list | tuple) else chosen
        if not isinstance(name, str):
            return False
        try:
            return bool(self.model._meta.get_field(name).is_relation)
        except FieldDoesNotExist:
            return "__" in name


class SallyportAdminSite(admin.AdminSite):
    site_header = "Sallyport"
    site_title = "Sallyport"
    index_title = "Operations"
    site_url = None  # there are no other pages to go to
    login_form = LoginForm

    def register(self, model_or_iterable: Any, admin_class: type[AnyModelAdmin] | None = None, **options: Any) -> None:
        given = admin_class or admin.ModelAdmin
        scoped = type(given.__name__, (TenantScoped, given), {"__module__": given.__module__})
        models: Iterable[Any] = [model_or_iterable] if isinstance(model_or_iterable, type) else model_or_iterable
        super().register(models, scoped, **options)

    def login(self, request: Any, extra_context: dict[str, Any] | None = None) -> Any:
        response = super().login(request, extra_context)
        wait = request.META.get("sallyport.login_retry_after")
        if wait:
            response.status_code = 429
            response["Retry-After"] = str(wait)
        return response
