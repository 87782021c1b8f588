"""Every path of this family, printed whole; those of remediation actions stand in ``action_urls.py``."""

from __future__ import annotations

from django.urls import URLPattern

from api.applylens import (
    ids,  # noqa: F401  (registers the converters)
    streaming,
    views,
)
from api.applylens.action_urls import ACTIONS
from api.routing import routes

urlpatterns: list[URLPattern] = routes(
    {
        "/api/incidents": views.Incidents,
        "/api/incidents/signals": views.Signals,
        "/api/incidents/<applylens_number:incident>": views.IncidentDetail,
        "/api/incidents/<applylens_number:incident>/acknowledge": views.Acknowledge,
        "/api/incidents/<applylens_number:incident>/mitigate": views.Mitigate,
        "/api/incidents/<applylens_number:incident>/resolve": views.Resolve,
        "/api/incidents/<applylens_number:incident>/close": views.Close,
        "/api/incidents/<applylens_number:incident>/assign": views.Assign,
        "/api/sse/events": streaming.Events,
        "/api/sse/token": streaming.StreamToken,
        **ACTIONS,
    }
)
