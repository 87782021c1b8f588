"""Paths as their contract prints them, each once more with a slash: same view, no redirect."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.http import HttpResponseBase
from django.urls import URLPattern, path
from rest_framework.views import APIView

View = type[APIView] | Callable[..., HttpResponseBase]


def routes(table: Mapping[str, View]) -> list[URLPattern]:
    """Return the patterns of a family.

    ``{"/api/playbooks": Playbooks, "/api/playbooks/<pb:playbook>/run": PlaybookRun}``; a path is printed whole and
    begins with a slash, so that a search for it finds the one line.
    """
    patterns = []
    for printed, view in table.items():
        if not printed.startswith("/") or printed.endswith("/"):
            raise ValueError(f"Print the path {printed!r} with a leading and without a trailing slash.")
        callback: Callable[..., HttpResponseBase] = view.as_view() if hasattr(view, "as_view") else view
        patterns += [path(printed[1:], callback), path(f"{printed[1:]}/", callback)]
    return patterns
