"""How Django's admin logs people in, and what they may do there: the same table of roles as in the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.db.models import Model

from accounts import login
from accounts.addresses import client_address
from accounts.models import User
from accounts.permissions import ADMINISTRATORS, permissions_of
from accounts.selectors import may_log_in

#: Django's permission -> ours. What is not named here is seen with playbooks:read and changed by administrators.
_NAMED: Final[Mapping[str, str]] = {
    "accounts.view_user": "users:read",
    "accounts.add_user": "users:write",
    "accounts.change_user": "users:write",
    "accounts.view_apikey": "api_keys:read",
    "accounts.add_apikey": "api_keys:write",
    "accounts.change_apikey": "api_keys:write",
    "accounts.view_tenant": "tenant:read",
    "accounts.change_tenant": "tenant:write",
    "manual.view_approvalpolicy": "settings:read",
    "manual.add_approvalpolicy": "settings:write",
    "manual.change_approvalpolicy": "settings:write",
    "manual.delete_approvalpolicy": "settings:write",
}


class WebRequest(Protocol):
    META: dict[str, Any]


class LoginBackend(ModelBackend):
    def authenticate(
        self, request: WebRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> User | None:
        """Return the person, or None. Too many failures leave the seconds to wait in META for the page to say so."""
        if request is None or username is None or password is None:
            return None
        address = client_address(
            peer=request.META.get("REMOTE_ADDR", ""),
            forwarded_for=request.META.get("HTTP_X_FORWARDED_FOR", ""),
            proxies=settings.SALLYPORT_TRUSTED_PROXIES,
        )
        try:
            return login.check_login(email=username, password=password, address=address)
        except login.TooManyFailures as error:
            request.META["sallyport.login_retry_after"] = error.retry_after
            return None

    def user_can_authenticate(self, user: Any) -> bool:
        return isinstance(user, User) and may_log_in(user)

    def has_perm(self, user_obj: Any, perm: str, obj: Model | Any | None = None) -> bool:
        if not isinstance(user_obj, User) or not user_obj.is_staff or not may_log_in(user_obj):
            return False
        held = permissions_of(user_obj.role)
        if perm in _NAMED:
            return _NAMED[perm] in held
        if perm.partition(".")[2].startswith("view_"):
            return "playbooks:read" in held
        return user_obj.role in ADMINISTRATORS

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        return self.has_perm(user_obj, f"{app_label}.view_")
