"""The client's address, as limits by address count it (contracts/README.md, client address)."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

from accounts.addresses import client_address


def address_of(request: Request | HttpRequest) -> str:
    return client_address(
        peer=request.META.get("REMOTE_ADDR", ""),
        forwarded_for=request.META.get("HTTP_X_FORWARDED_FOR", ""),
        proxies=settings.SALLYPORT_TRUSTED_PROXIES,
    )
