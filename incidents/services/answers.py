"""Answers of requests that named a key: the same request gets the same one again."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from core.errors import Conflict
from incidents.models import AnsweredRequest

# Waits for a request with the same key that is being answered; then either it is known, or the key is ours.
TAKE = """
INSERT INTO incidents_answeredrequest (key, digest, status, body, created_at) VALUES (%s, %s, 0, '', %s)
ON CONFLICT (key) DO NOTHING
"""


class KeyUsed(Conflict):
    code = "start_key_reused"


def take_key(key: str, digest: str, *, now: datetime) -> AnsweredRequest | None:
    """Take a key for the transaction that answers, or return what was answered. Raises KeyUsed for another body."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [key, digest, now])
        if cursor.rowcount:
            return None
    answered = AnsweredRequest.objects.get(key=key)
    if answered.digest != digest:
        raise KeyUsed("This Idempotency-Key was used with another body.")
    return answered


def keep_answer(key: str, *, status: int, body: str) -> None:
    AnsweredRequest.objects.filter(key=key).update(status=status, body=body)
