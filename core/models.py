"""Base models and the time-ordered id."""

from __future__ import annotations

import os
import time
from uuid import UUID

from django.db import models


def uuid7() -> UUID:
    """Return a version 7 UUID (RFC 9562), made here so that PostgreSQL 15 is enough."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | (random_bits >> 68) << 64
    return UUID(int=value | 0b10 << 62 | random_bits & (1 << 62) - 1)


class UUIDModel(models.Model):
    """A row named by a time-ordered UUID."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)

    class Meta:
        abstract = True
