"""Stream tokens: for an EventSource, which cannot set headers. They open streams for a minute and do nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.core import signing

from accounts.selectors import Caller, identify_again
from api.errors import Kind, Refusal
from core.actors import Actor, ActorKind

PREFIX: Final = "stream_"
LIFETIME: Final = timedelta(seconds=60)
_SALT: Final = "api.applylens.stream"


def make_token(caller: Caller) -> str:
    """Return a token that stands for the caller. Nothing is stored: it ends with its time, or with the caller's key."""
    return PREFIX + signing.dumps([caller.actor.kind.value, caller.actor.id], salt=_SALT)


def caller_of_token(token: str, *, now: datetime) -> Caller:
    """Raises Refusal (UNAUTHORIZED), alike for every reason."""
    try:
        kind, number = signing.loads(token.removeprefix(PREFIX), salt=_SALT, max_age=LIFETIME)
    except signing.BadSignature:
        raise Refusal(Kind.UNAUTHORIZED) from None
    caller = identify_again(Actor(kind=ActorKind(kind), id=number, name=""), now=now)
    if caller is None:
        raise Refusal(Kind.UNAUTHORIZED)
    return caller
