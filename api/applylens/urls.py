"""Every path of this family, printed whole; those of remediation actions stand in ``action_urls.py``."""

from __future__ import annotations

from django.urls import URLPattern

from api.applylens import ids  # noqa: F401  (registers the converters)
from api.applylens.action_urls import ACTIONS
from api.routing import routes

urlpatterns: list[URLPattern] = routes(ACTIONS)
