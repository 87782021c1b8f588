"""Every path of the API. A family that is not built yet answers 404 by its prefix (``api/outside.py``)."""

from __future__ import annotations

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

FAMILIES = ("s4e", "soarca", "native")

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include(f"api.{family}.urls"))
    for family in FAMILIES
    if find_spec(f"api.{family}") and find_spec(f"api.{family}.urls")
]
