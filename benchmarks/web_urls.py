"""The project's paths, and one that only knows who calls: what every request costs before it does anything."""

from __future__ import annotations

from api.base import FamilyRequest, Response
from api.native.errors import NativeView
from api.routing import routes
from config import urls

EMPTY = "/api/native/empty"


class Empty(NativeView):
    """GET /api/native/empty"""

    permissions = {"GET": "playbooks:read"}

    def get(self, _: FamilyRequest) -> Response:
        """Answer nothing."""
        return Response({})


urlpatterns = [*routes({EMPTY: Empty}), *urls.urlpatterns]
handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500
