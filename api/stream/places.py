"""How many streams a person and a tenant may have open at once, over all processes (SEC-32).

A place is an entry with a lease in Redis, so that places of a process that died come free by themselves. Redis out of
reach: streams open uncounted, as requests pass unlimited (contracts/README.md, limits). Blocking.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Final, cast
from uuid import uuid4

import redis
from django.conf import settings

from api.stream.closing import Closed, Code
from api.stream.handshake import Visitor

log = logging.getLogger(__name__)

PER_PERSON: Final = 20
PER_TENANT: Final = 500
#: Renewed with every look at the credential.
LEASE: Final = timedelta(seconds=15)
TIMEOUT_SECONDS: Final = 0.5
#: After a failure Redis is left alone for so long: streams share a few threads, and must not wait on it in turn.
PAUSE: Final = timedelta(seconds=5)

#: KEYS the sets; ARGV the place, the lease in milliseconds, then the limit of each set.
#: Returns 0, or the number of the first set that is full.
TAKE: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for index, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  if not redis.call('ZSCORE', key, ARGV[1]) and redis.call('ZCARD', key) >= tonumber(ARGV[index + 2]) then
    return index
  end
end
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return 0
"""


class Place:
    """One open stream among those of its person and its tenant."""

    def __init__(self, visitor: Visitor) -> None:
        self._name = uuid4().hex
        # The braces make a Redis cluster keep both sets on one node.
        prefix = f"{settings.SALLYPORT_REDIS_PREFIX}{{streams}}"
        self._keys: Sequence[str] = (f"{prefix}:person:{visitor.person}", f"{prefix}:tenant:{visitor.tenant.id}")

    def take(self) -> None:
        """Raises Closed (TOO_MANY)."""
        full = self._ask()
        if full == 1:
            raise Closed(Code.TOO_MANY, f"A user may have {PER_PERSON} streams open.")
        if full == 2:
            raise Closed(Code.TOO_MANY, f"A tenant may have {PER_TENANT} streams open.")

    def keep(self) -> None:
        """Renew the lease. A stream that is open stays open, also when Redis has forgotten it meanwhile."""
        self._ask()

    def leave(self) -> None:
        """Where Redis does not answer, the lease runs out."""
        for key in self._keys:
            _store(settings.REDIS_URL).call("ZREM", key, self._name)

    def _ask(self) -> int:
        lease = int(LEASE.total_seconds() * 1000)
        numbers = (lease, PER_PERSON, PER_TENANT)
        return _store(settings.REDIS_URL).call("EVAL", TAKE, len(self._keys), *self._keys, self._name, *numbers)


class _Store:
    """The connection, and until when it is left alone."""

    def __init__(self, url: str) -> None:
        self._client: redis.Redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=None
        )
        self._resting_until = 0.0

    def call(self, *command: str | int) -> int:
        """Return the answer; 0 where there is none."""
        if time.monotonic() < self._resting_until:
            return 0
        try:
            answer = self._client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py has no types here
            return cast("int", answer)
        except (redis.RedisError, OSError) as error:
            self._resting_until = time.monotonic() + PAUSE.total_seconds()
            log.warning("Streams are not counted for now, Redis does not answer: %s", type(error).__name__)
            return 0


@cache
def _store(url: str) -> _Store:
    return _Store(url)
