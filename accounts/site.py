"""The admin's front door: it says when somebody has to wait, with the status that means it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm


class LoginForm(AdminAuthenticationForm):
    def get_invalid_login_error(self) -> forms.ValidationError:
        wait = self.request.META.get("sallyport.login_retry_after") if self.request else None
        if wait:
            return forms.ValidationError(f"Too many failed logins. Try again in {wait} s.", code="too_many")
        return super().get_invalid_login_error()


class SallyportAdminSite(admin.AdminSite):
    site_header = "Sallyport"
    site_title = "Sallyport"
    index_title = "Operations"
    login_form = LoginForm

    def login(self, request: Any, extra_context: dict[str, Any] | None = None) -> Any:
        response = super().login(request, extra_context)
        wait = request.META.get("sallyport.login_retry_after")
        if wait:
            response.status_code = 429
            response["Retry-After"] = str(wait)
        return response
