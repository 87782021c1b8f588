"""The server does not start with a route that does not say who may use it (SEC-26)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.urls import URLPattern, URLResolver

from accounts.permissions import PERMISSIONS
from api.permissions import PUBLIC, SIGNED_IN, VERBS

KNOWN = PERMISSIONS | {PUBLIC, SIGNED_IN}


@register(Tags.security)
def every_route_declares_its_permission(**_: Any) -> list[CheckMessage]:
    from api import urls

    return list(undeclared(urls.urlpatterns))


def undeclared(patterns: Sequence[URLPattern | URLResolver], prefix: str = "/") -> Iterator[CheckMessage]:
    """Yield one error for each verb of each route that declares no permission, or one that does not exist."""
    for pattern in patterns:
        path = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from undeclared(pattern.url_patterns, path)
            continue
        view = getattr(pattern.callback, "view_class", pattern.callback)
        declared = getattr(view, "permissions", {})
        verbs = [verb for verb in VERBS if hasattr(view, verb.lower())] or list(declared) or ["GET"]
        for verb in verbs:
            if declared.get(verb) not in KNOWN:
                yield Error(f"{verb} {path} declares no known permission.", obj=view, id="api.E001")
