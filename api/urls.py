"""Every path of the API. A family that is not built yet answers 404 by its prefix (``api/outside.py``)."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []
