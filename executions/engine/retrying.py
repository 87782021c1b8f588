"""What follows a try that did not complete (EXECUTION-SEMANTICS 7). The random number is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from playbooks.cacao.types import RetryPolicy

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
    """A try that ended without success.

    ``answered`` False: sent, and no answer came. ``may_be_there``: its effect may have taken place all the same.
    ``cannot_tell``: nothing was sent, the far side was asked about an earlier try and does not know.
    """

    effect_class: str
    tries: int  # that came to an outcome, this one included
    sent: bool = True
    answered: bool = True
    may_be_there: bool = False
    cannot_tell: bool = False
    may_retry: bool | None = None  # False: the far side's clear "no"; True: it said to try again
    wait_as_told: timedelta | None = None
    policy: RetryPolicy | None = None  # the step's own (ruling 10)


@dataclass(frozen=True)
class Following:
    next: Next
    delay: timedelta = timedelta(0)


def follow_up(tried: Tried, *, chance: float) -> Following:
    """Return what the engine does next; ``chance`` is a random number in [0, 1) for the full jitter."""
    if tried.cannot_tell:
        is_last = tried.tries >= DEFAULT_TRIES
        return Following(Next.REVIEW) if is_last else Following(Next.PROBE, _delay(tried, chance))
    # What may have taken place is asked for before it is done again or given up, after the last try too.
    if tried.effect_class == "probe" and tried.sent and (tried.may_be_there or not tried.answered):
        return Following(Next.PROBE, _delay(tried, chance))
    if not tried.answered and tried.sent and tried.effect_class not in REPEATABLE:
        return Following(Next.REVIEW)
    if not _may_retry(tried):
        return Following(Next.FAIL)
    return Following(Next.RETRY, _delay(tried, chance))


def _may_retry(tried: Tried) -> bool:
    policy = tried.policy
    if policy is not None:
        return tried.tries < policy.attempts and not (policy.ends_on_no and tried.may_retry is False)
    if tried.tries >= DEFAULT_TRIES or tried.may_retry is False:
        return False
    if not tried.sent or tried.wait_as_told is not None:
        return True
    return tried.effect_class in REPEATABLE or tried.effect_class == "probe"


def _delay(tried: Tried, chance: float) -> timedelta:
    """min(cap, base * 2^(n-1)) with full jitter, or what the far side asked for."""
    policy = tried.policy
    base = policy.base if policy is not None else None
    cap = policy.cap if policy is not None else None
    if tried.wait_as_told is not None:
        return min(tried.wait_as_told, LONGEST_WAIT_AS_TOLD if cap is None else cap)
    doubled = (BASE_DELAY if base is None else base) * int(2 ** (tried.tries - 1))
    return min(LONGEST_DELAY if cap is None else cap, doubled) * chance
