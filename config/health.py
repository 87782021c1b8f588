"""Probes. ``live``: the process answers. ``ready``: everything a run needs does."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse


def live(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


def ready(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok", "checks": {}})
