"""Rings the workers' doorbell and hears whether one comes: broker, queue and a worker's thread in one look.

It is no execution. It rings at most once in RING_EVERY for the whole deployment, and an answer counts for
GOOD_FOR, so that a moment of load does not make a healthy deployment look dead. Both live in Redis.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from django.conf import settings
from redis import Redis

RING_EVERY = timedelta(seconds=30)
GOOD_FOR = timedelta(seconds=60)
WAIT = timedelta(seconds=1)  # how long one look waits for an answer


@dataclass(frozen=True)
class Answer:
    """When the doorbell was rung that was answered (Unix time), and how long the answer took, in seconds."""

    rung_at: float
    took: float


@cache
def redis() -> Redis:
    return Redis.from_url(settings.REDIS_URL, socket_timeout=3, socket_connect_timeout=2, decode_responses=True)


def listen() -> Answer | None:
    """Return the newest answer, ringing when it is time to; None when no worker has come within WAIT.

    Raises redis.RedisError, or kombu's OperationalError when the broker takes no message.
    """
    heard = redis().lindex(_key("answer"), 0)
    if redis().set(_key("rung"), "1", nx=True, ex=RING_EVERY):
        _ring()
    if heard is None:
        # Moved onto itself: every process that waits sees the answer, and it stays.
        heard = redis().blmove(_key("answer"), _key("answer"), WAIT.seconds, "LEFT", "LEFT")
    return _read(str(heard)) if heard else None


def record_answer(*, rung_at: float) -> None:
    """Called in a worker: keep the answer where ``listen`` waits for it."""
    with redis().pipeline(transaction=True) as commands:
        commands.delete(_key("answer"))
        commands.rpush(_key("answer"), f"{rung_at:.6f} {time.time() - rung_at:.6f}")
        commands.expire(_key("answer"), GOOD_FOR)
        commands.execute()


def _ring() -> None:
    from config.tasks import answer

    try:
        answer.apply_async(
            kwargs={"rung_at": time.time()},
            queue=settings.CELERY_TASK_DEFAULT_QUEUE,
            retry=False,
            expires=GOOD_FOR.total_seconds(),
        )
    except BaseException:
        redis().delete(_key("rung"))  # nobody was rung: the next look tries again
        raise


def _read(text: str) -> Answer:
    rung_at, took = text.split()
    return Answer(rung_at=float(rung_at), took=float(took))


def _key(name: str) -> str:
    return f"{settings.SALLYPORT_REDIS_PREFIX}canary:{name}"
