"""Which file answers which path: probes, the documentation of the API, the admin, and the API itself."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from api import docs
from config import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("health/live", health.live),
    path("health/ready", health.ready),
]
if settings.SALLYPORT_DOCS:
    urlpatterns += [
        path("api/schema", docs.schema, name="schema"),
        path("api/docs", docs.page, name="docs"),
    ]
if settings.SALLYPORT_ADMIN:
    urlpatterns += [path("admin/", admin.site.urls)]
urlpatterns += [path("", include("api.urls"))]

handler400 = "api.outside.bad_request"
handler403 = "api.outside.permission_denied"
handler404 = "api.outside.not_found"
handler500 = "api.outside.server_error"
