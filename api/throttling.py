"""Limits by contract: fixed windows, counted in Redis by one script, shared by all processes.

A window begins with its first request. Redis out of reach: requests pass, and the headers are left out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from hashlib import sha256
from math import ceil
from typing import Any, Final

import redis
from django.conf import settings

from api.errors import Kind, Refusal

log = logging.getLogger(__name__)

#: After a failure Redis is left alone for so long: a dead one must not slow every request down.
PAUSE: Final = timedelta(seconds=1)
TIMEOUT_SECONDS: Final = 0.25

#: KEYS the windows; ARGV their lengths in milliseconds. Returns {now in ms, {count, ms left}, ...}.
SCRIPT: Final = """
local clock = redis.call('TIME')
local answer = {clock[1] * 1000 + math.floor(clock[2] / 1000)}
for index, key in ipairs(KEYS) do
  local count = redis.call('INCR', key)
  local left = redis.call('PTTL', key)
  if left < 0 then
    redis.call('PEXPIRE', key, ARGV[index])
    left = tonumber(ARGV[index])
  end
  answer[index + 1] = {count, left}
end
return answer
"""


@dataclass(frozen=True)
class Limit:
    """``subject`` is who or what is counted: a key's id, an address. The request after limit + burst is refused."""

    name: str
    subject: str
    limit: int
    window: timedelta
    burst: int = 0


@dataclass(frozen=True)
class Standing:
    """Where a caller stands in one window. ``reset_at`` is in epoch seconds, ``retry_after`` in seconds."""

    limit: int
    remaining: int
    reset_at: int
    retry_after: int
    exceeded: bool

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_at),
        }


def count(limits: Sequence[Limit]) -> Standing | None:
    """Count one request in each window and return the tightest standing; None without limits or without Redis.

    Raises Refusal(RATE_LIMITED) with the headers when a window is full.
    """
    if not limits:
        return None
    answer = _ask(limits)
    if answer is None:
        return None
    now, *windows = answer
    standings = [_standing(limit, now, *window) for limit, window in zip(limits, windows, strict=True)]
    tightest = min(standings, key=lambda standing: (not standing.exceeded, standing.remaining))
    if tightest.exceeded:
        raise Refusal(
            Kind.RATE_LIMITED,
            f"Too many requests: {tightest.limit} are allowed. Try again in {tightest.retry_after} s.",
            headers=tightest.headers(),
            retry_after=tightest.retry_after,
        )
    return tightest


def _standing(limit: Limit, now: int, counted: int, left: int) -> Standing:
    reset_at = ceil((now + left) / 1000)
    return Standing(
        limit=limit.limit,
        remaining=max(0, limit.limit - counted),
        reset_at=reset_at,
        retry_after=max(1, reset_at - now // 1000),
        exceeded=counted > limit.limit + limit.burst,
    )


class _Store:
    """The connection, and until when it is left alone."""

    def __init__(self, url: str) -> None:
        self.client: redis.Redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=None
        )
        self.script = self.client.register_script(SCRIPT)
        self.resting_until = 0.0


@cache
def _store(url: str) -> _Store:
    return _Store(url)


def _ask(limits: Sequence[Limit]) -> Any:
    store = _store(settings.REDIS_URL)
    if time.monotonic() < store.resting_until:
        return None
    try:
        return store.script(
            keys=[_key(limit) for limit in limits],
            args=[int(limit.window.total_seconds() * 1000) for limit in limits],
        )
    except (redis.RedisError, OSError) as error:
        store.resting_until = time.monotonic() + PAUSE.total_seconds()
        log.warning("Limits are not counted for now, Redis does not answer: %s", type(error).__name__)
        return None


def _key(limit: Limit) -> str:
    # The braces make a Redis cluster keep the windows of one request on one node.
    subject = sha256(limit.subject.encode()).hexdigest()[:32]
    return f"{settings.SALLYPORT_REDIS_PREFIX}{{limits}}:{limit.name}:{subject}"
