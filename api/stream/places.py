"""How many streams a person and a tenant may have open at once, over all processes (SEC-32).

A place is an entry with a lease in Redis, so that places of a process that died come free by themselves. Redis out of
reach: streams open uncounted, as requests pass unlimited (contracts/README.md, limits). Blocking.
"""

from __future__ import annotations

import logging
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
        try:
            for key in self._keys:
                _client(settings.REDIS_URL).zrem(key, self._name)
        except (redis.RedisError, OSError):
            pass  # the lease runs out

    def _ask(self) -> int:
        client = _client(settings.REDIS_URL)
        lease = int(LEASE.total_seconds() * 1000)
        try:
            answer = client.eval(TAKE, len(self._keys), *self._keys, self._name, lease, PER_PERSON, PER_TENANT)
            return cast("int", answer)
        except (redis.RedisError, OSError) as error:
            log.warning("Streams are not counted for now, Redis does not answer: %s", type(error).__name__)
            return 0


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=None)
