"""Tenants, people and keys. Nothing is deleted here: accounts are closed, keys revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts import services
from accounts.models import ApiKey, Tenant, User
from accounts.permissions import PERMISSIONS, ROLES
from accounts.selectors import actor_of_user
from accounts.site import tenant_of_visitor
from core.actors import SYSTEM, Actor
from core.errors import DomainError

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
    UserModelForm = forms.ModelForm[User]
    KeyModelForm = forms.ModelForm[ApiKey]
else:
    AnyModelAdmin, UserModelForm, KeyModelForm = admin.ModelAdmin, forms.ModelForm, forms.ModelForm

ROLE_CHOICES = [(role, role) for role in ROLES]


class Kept(AnyModelAdmin):
    """Rows that stay, since others point at them."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Let the form know who fills it in: nobody grants what they do not hold."""
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"actor": actor_of_user(request.user)})


@admin.register(Tenant)
class TenantAdmin(Kept):
    list_display = (
        *("name", "slug", "rate_tier", "dispatch_weight", "import_level", "four_eyes", "is_active", "created_at"),
    )
    list_filter = ("is_active", "rate_tier")
    search_fields = ("name", "slug")
    ordering = ("name", "id")
    fields = (
        *("name", "slug", "rate_tier", "dispatch_weight", "queue_limit", "keep_days"),
        *("import_level", "four_eyes", "is_active", "created_at"),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> tuple[str, ...]:
        """A tenant cannot give itself a higher rate or a larger share, let its own records go, nor close itself."""
        given = ("rate_tier", "dispatch_weight", "queue_limit", "keep_days", "is_active")
        own = given if tenant_of_visitor(request) else ()
        return ("created_at", *(("slug",) if obj else ()), *own)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return tenant_of_visitor(request) is None and super().has_add_permission(request)

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        if not change:
            obj.created_at = timezone.now()
        super().save_model(request, obj, form, change)


class UserForm(UserModelForm):
    actor: ClassVar[Actor] = SYSTEM
    role = forms.ChoiceField(choices=ROLE_CHOICES, initial="viewer")
    new_password = forms.CharField(
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="12 characters or more. Empty: the person keeps theirs, or cannot log in with a password.",
    )

    class Meta:
        model = User
        fields = ("tenant", "email", "name", "role", "is_active", "is_staff")

    def clean(self) -> dict[str, Any]:
        """Ask the services, so that form and API refuse the same things in the same words."""
        cleaned = super().clean() or {}
        try:
            if self.instance._state.adding:
                services.check_grant(cleaned.get("role", ""), by=self.actor)
            else:
                self._check_change(cleaned)
            if cleaned.get("new_password"):
                services.check_password(cleaned["new_password"], user=self.instance)
        except DomainError as error:
            raise ValidationError(error.message) from None
        return cleaned

    def _check_change(self, cleaned: dict[str, Any]) -> None:
        stored = User.objects.get(pk=self.instance.pk)
        role = cleaned.get("role", stored.role)
        for held in {stored.role, role}:  # nor does one change those who hold more
            services.check_grant(held, by=self.actor)
        if services.would_leave(stored, role=role, is_active=cleaned.get("is_active", True)):
            services.check_not_last_administrator(stored)


@admin.register(User)
class UserAdmin(Kept):
    form = UserForm
    list_display = ("email", "name", "role", "is_active", "is_staff", "last_login", "tenant")
    list_filter = ("role", "is_active", "is_staff", "tenant")
    search_fields = ("email", "name", "=id")
    list_select_related = ("tenant",)
    ordering = ("email", "id")
    fields = ("tenant", "email", "name", "role", "is_active", "is_staff", "new_password", "created_at", "last_login")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        return ("created_at", "last_login", *(("tenant", "email") if obj else ()))

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        password = form.cleaned_data["new_password"]
        if not change:
            obj.created_at = timezone.now()
            obj.set_unusable_password()
        if password:
            obj.set_password(password)
        super().save_model(request, obj, form, change)


class ApiKeyForm(KeyModelForm):
    actor: ClassVar[Actor] = SYSTEM
    scopes = forms.MultipleChoiceField(
        choices=[(permission, permission) for permission in sorted(PERMISSIONS)],
        required=False,
        help_text="What the key is limited to. None chosen: everything its owner may do.",
    )

    class Meta:
        model = ApiKey
        fields = ("tenant", "owner", "name", "scopes", "expires_at")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                services.check_api_key(**self.values(), by=self.actor, now=timezone.now())
            except DomainError as error:
                raise ValidationError(error.message) from None
        return cleaned

    def values(self) -> dict[str, Any]:
        names = ("tenant", "owner", "scopes", "expires_at")
        return {name: self.cleaned_data[name] for name in names}


@admin.register(ApiKey)
class ApiKeyAdmin(Kept):
    """A key's text is shown on the page that follows its making, and nowhere else."""

    form = ApiKeyForm
    list_display = ("name", "prefix", "owner", "tenant", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("tenant", ("revoked_at", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("name", "prefix", "owner__email", "=id")
    list_select_related = ("owner", "tenant")
    ordering = ("-created_at", "id")
    actions = ("revoke",)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        made = ("prefix", "created_at", "last_used_at", "revoked_at") if obj else ()
        return ("tenant", "owner", "name", "scopes", "expires_at", *made)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return self.get_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            return
        row, text = services.issue_api_key(
            **form.values(), name=form.cleaned_data["name"], by=form.actor, now=timezone.now()
        )
        obj.pk = row.pk
        obj.__dict__["text_shown_once"] = text

    def response_add(self, request: HttpRequest, obj: ApiKey, *_: Any) -> HttpResponse:
        shown = {"title": "New API key", "key": obj.__dict__["text_shown_once"], "opts": self.model._meta}
        context = self.admin_site.each_context(request) | shown
        return TemplateResponse(request, "admin/accounts/apikey/issued.html", context)

    @admin.action(description="Revoke the selected keys, for good", permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: Any) -> None:
        for key in chosen:
            services.revoke_api_key(key=key, now=timezone.now())
        self.message_user(request, f"{len(chosen)} revoked.")
