"""Every path of the API. A family that is not built yet answers 404 by its prefix (``api/outside.py``)."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from api.applylens.urls import urlpatterns as applylens
from api.native.urls import urlpatterns as native
from api.olorin.urls import urlpatterns as olorin
from api.s4e.urls import urlpatterns as s4e
from api.soarca.urls import urlpatterns as soarca

urlpatterns: list[URLPattern | URLResolver] = [*s4e, *applylens, *soarca, *olorin, *native]
