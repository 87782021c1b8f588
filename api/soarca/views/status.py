"""/status: whether the service is there, for everybody."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema

from api.base import FamilyRequest, Response
from api.permissions import PUBLIC
from api.soarca import schema
from api.soarca.errors import SoarcaView

#: This process's own start.
SINCE: Final = datetime.now(UTC)


class Status(SoarcaView):
    """GET /status"""

    permissions = {"GET": PUBLIC}

    @extend_schema(operation_id="soarca_status", responses=schema.SoarcaStatus)
    def get(self, request: FamilyRequest) -> Response:
        """Return version, mode and uptime."""
        # The process's clock on both sides: this says how long it runs, and must not need the database.
        now = timezone.now()
        return Response(
            {
                "version": settings.SPECTACULAR_SETTINGS["VERSION"],
                "runtime": sys.platform,
                "mode": "development" if settings.SALLYPORT_DEVELOPMENT else "production",
                "time": _moment(now),
                "uptime": {"since": _moment(SINCE), "milliseconds": int((now - SINCE).total_seconds() * 1000)},
            }
        )


class Ping(SoarcaView):
    """GET /status/ping"""

    permissions = {"GET": PUBLIC}

    @extend_schema(operation_id="soarca_ping", responses={(200, "text/plain"): str})
    def get(self, request: FamilyRequest) -> HttpResponse:
        """Return `pong`."""
        return HttpResponse("pong", content_type="text/plain")


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
