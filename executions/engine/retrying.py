"""What follows a try that did not complete (EXECUTION-SEMANTICS 7). The random number is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

REPEATABLE = frozenset({"read", "keyed", "idempotent"})
DEFAULT_TRIES = 3
BASE_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(seconds=60)
LONGEST_WAIT_AS_TOLD = timedelta(hours=1)


class Next(StrEnum):
    FAIL = "fail"
    RETRY = "retry"
    PROBE = "probe"  # ask the far side as a new attempt
    REVIEW = "review"  # nobody can know: uncertain


@dataclass(frozen=True)
class Tried:
    """A try that ended without success. ``answered`` False: sent, and no answer came."""

    effect_class: str
    tries: int  # that came to an outcome, this one included
    sent: bool = True
    answered: bool = True
    may_retry: bool | None = None  # False: the far side's clear "no"; True: it said to try again
    wait_as_told: timedelta | None = None
    author_tries: int | None = None  # the author's own policy: tries in all (ruling 10)


@dataclass(frozen=True)
class Following:
    next: Next
    delay: timedelta = timedelta(0)


def follow_up(tried: Tried, *, chance: float) -> Following:
    """Return what the engine does next; ``chance`` is a random number in [0, 1) for the full jitter."""
    if not tried.answered and tried.sent and tried.effect_class not in REPEATABLE:
        return Following(Next.PROBE if tried.effect_class == "probe" else Next.REVIEW)
    if not _may_retry(tried):
        return Following(Next.FAIL)
    # A clear "no" leaves nothing to look for: only what may have taken place is asked for before it is done again.
    if tried.sent and tried.effect_class == "probe" and tried.wait_as_told is None and tried.may_retry is not False:
        return Following(Next.PROBE, _delay(tried, chance))
    return Following(Next.RETRY, _delay(tried, chance))


def _may_retry(tried: Tried) -> bool:
    if tried.author_tries is not None:
        return tried.tries < tried.author_tries
    if tried.tries >= DEFAULT_TRIES or tried.may_retry is False:
        return False
    if not tried.sent or tried.wait_as_told is not None:
        return True
    return tried.effect_class in REPEATABLE or tried.effect_class == "probe"


def _delay(tried: Tried, chance: float) -> timedelta:
    """min(cap, base * 2^(n-1)) with full jitter, or what the far side asked for."""
    if tried.wait_as_told is not None:
        return min(tried.wait_as_told, LONGEST_WAIT_AS_TOLD)
    doubled: timedelta = min(LONGEST_DELAY, BASE_DELAY * int(2 ** (tried.tries - 1)))
    return doubled * chance
