"""Paths of websockets; whatever is no stream is told so."""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern, re_path

from api.stream.consumers import execution_stream, no_stream, tenant_stream

websocket_urlpatterns: Final[list[URLPattern]] = [
    re_path(r"^ws/executions/(?P<reference>[^/]{1,256})/?$", execution_stream),  # type: ignore[arg-type]
    re_path(r"^ws/stream/?$", tenant_stream),  # type: ignore[arg-type]  # ASGI applications, for channels' URLRouter
    re_path(r"", no_stream),  # type: ignore[arg-type]
]
