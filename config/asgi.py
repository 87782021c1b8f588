"""One ASGI application, three ways in.

* websockets: Channels
* event streams and long polls: Django's ASGI handler, since an async view holds no thread while it is idle
* all other HTTP: Django's WSGI handler on a fixed pool of threads, at about 0.4 of the CPU time of Django's
  ASGI handler for a synchronous view, and with database connections that stay open
"""

from __future__ import annotations

import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
streaming = get_asgi_application()

from a2wsgi import WSGIMiddleware  # noqa: E402  (what follows needs the app registry)
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402

from api.stream.routing import websocket_urlpatterns  # noqa: E402
from config.wsgi import application as wsgi  # noqa: E402

ordinary = WSGIMiddleware(wsgi, workers=settings.SALLYPORT_WEB_THREADS)  # type: ignore[arg-type]  # its own protocol
websockets = URLRouter(websocket_urlpatterns)
STREAMS = ("/api/sse/events", "/api/stream/", "/fin/poll")


async def http(scope: Any, receive: Any, send: Any) -> None:
    chosen = streaming if scope["path"].startswith(STREAMS) else ordinary
    await chosen(scope, receive, send)


async def websocket(scope: Any, receive: Any, send: Any) -> None:
    """Take the query, which may hold a key, out of the server's scope: it logs what it accepts from there (SEC-32)."""
    own = dict(scope)
    scope["query_string"] = b""
    await websockets(own, receive, send)


application = ProtocolTypeRouter({"http": http, "websocket": websocket})
