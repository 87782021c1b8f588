"""``Idempotency-Key`` on what makes incidents: the same request gets the same answer for a day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction

from api.applylens.errors import FAMILY
from api.base import FamilyRequest, Response
from api.idempotency import start_key
from core import strict_json
from incidents.services import keep_answer, take_key

#: status and body
Answer = tuple[int, dict[str, Any]]


def answered_once(request: FamilyRequest, route: str, work: Callable[[], Answer]) -> Response:
    """Do the work, or repeat the answer it had. What is refused is not kept: it may go well the next time."""
    key, digest = start_key(request, FAMILY, route)
    if key is None:
        status, body = work()
        return Response(body, status=status)
    with transaction.atomic():
        known = take_key(key, digest, now=request.now)
        if known is not None:
            return Response(strict_json.loads(known.body.encode()), status=known.status)
        status, body = work()
        keep_answer(key, status=status, body=strict_json.dumps(body).decode())
    return Response(body, status=status)
