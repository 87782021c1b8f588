"""What follows a try that did not complete: the table of EXECUTION-SEMANTICS 7, cell by cell."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from executions.engine.retrying import DEFAULT_TRIES, Next, Tried, follow_up
from playbooks.cacao.types import RetryPolicy

REPEATABLE = ("read", "keyed", "idempotent")
REFUSED = {"sent": False}
NO = {"may_retry": False}
FAILED = {"may_be_there": True}
SILENT = {"answered": False, "may_be_there": True}


def following(effect_class: str, *, tries: int = 1, **how: Any) -> Next:
    return follow_up(Tried(effect_class, tries, **how), chance=0.5).next


@pytest.mark.parametrize("effect_class", [*REPEATABLE, "probe", "unsafe"])
def test_what_was_refused_before_sending_is_tried_again(effect_class: str) -> None:
    assert following(effect_class, **REFUSED) == Next.RETRY
    assert following(effect_class, tries=DEFAULT_TRIES, **REFUSED) == Next.FAIL


@pytest.mark.parametrize("effect_class", [*REPEATABLE, "probe", "unsafe"])
def test_a_clear_no_is_final_and_a_wait_as_told_is_waited(effect_class: str) -> None:
    assert following(effect_class, **NO) == Next.FAIL
    assert following(effect_class, wait_as_told=timedelta(seconds=9)) == Next.RETRY


@pytest.mark.parametrize(
    ("effect_class", "how", "expected"),
    [
        *((name, FAILED, Next.RETRY) for name in REPEATABLE),
        ("probe", FAILED, Next.PROBE),
        ("unsafe", FAILED, Next.FAIL),
        *((name, SILENT, Next.RETRY) for name in REPEATABLE),
        ("probe", SILENT, Next.PROBE),
        ("unsafe", SILENT, Next.REVIEW),
    ],
)
def test_what_may_have_taken_place_goes_by_its_class(effect_class: str, how: dict[str, Any], expected: Next) -> None:
    assert following(effect_class, **how) == expected


@pytest.mark.parametrize(("tries", "expected"), [(1, Next.RETRY), (4, Next.RETRY), (5, Next.FAIL)])
def test_the_author_says_how_often(tries: int, expected: Next) -> None:
    assert following("unsafe", tries=tries, policy=RetryPolicy(5), **FAILED) == expected
    assert following("unsafe", tries=tries, policy=RetryPolicy(5), **NO) == expected


def test_the_author_says_nothing_about_an_unknown_effect() -> None:
    assert following("unsafe", policy=RetryPolicy(5), **SILENT) == Next.REVIEW


@pytest.mark.parametrize("effect_class", [*REPEATABLE, "probe", "unsafe"])
def test_a_policy_may_take_a_clear_no_as_final(effect_class: str) -> None:
    policy = RetryPolicy(attempts=4, ends_on_no=True)

    assert following(effect_class, policy=policy, **NO) == Next.FAIL
    assert following(effect_class, policy=policy, wait_as_told=timedelta(seconds=9)) == Next.RETRY
    assert following(effect_class, policy=policy, **REFUSED) == Next.RETRY


def test_a_far_side_is_asked_after_the_last_try_too() -> None:
    assert following("probe", tries=DEFAULT_TRIES, **FAILED) == Next.PROBE


def test_a_far_side_that_cannot_tell_is_not_asked_for_ever() -> None:
    told = [following("probe", tries=tries, cannot_tell=True) for tries in range(1, DEFAULT_TRIES + 1)]

    assert told == [Next.PROBE] * (DEFAULT_TRIES - 1) + [Next.REVIEW]


@pytest.mark.parametrize(("tries", "longest"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (40, 60)])
def test_waits_double_up_to_a_minute_and_are_spread_over_the_whole_of_it(tries: int, longest: int) -> None:
    tried = Tried("read", tries, policy=RetryPolicy(50))
    waits = [follow_up(tried, chance=chance).delay.total_seconds() for chance in (0.0, 0.25, 0.999)]

    assert waits == pytest.approx([0, longest * 0.25, longest * 0.999])


@pytest.mark.parametrize(("tries", "longest"), [(1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (9, 30)])
def test_a_policy_may_have_waits_of_its_own(tries: int, longest: int) -> None:
    tried = Tried("read", tries, policy=RetryPolicy(50, base=timedelta(seconds=2), cap=timedelta(seconds=30)))
    waits = [follow_up(tried, chance=chance).delay.total_seconds() for chance in (0.0, 0.5, 0.999)]

    assert waits == pytest.approx([0, longest * 0.5, longest * 0.999])


def test_a_policys_cap_holds_for_a_wait_as_told() -> None:
    tried = Tried("read", 1, wait_as_told=timedelta(minutes=9), policy=RetryPolicy(4, cap=timedelta(seconds=30)))

    assert follow_up(tried, chance=0.0).delay == timedelta(seconds=30)


def test_no_far_side_makes_us_wait_for_more_than_an_hour() -> None:
    found = follow_up(Tried("read", 1, wait_as_told=timedelta(days=3)), chance=0.0)

    assert found.delay == timedelta(hours=1)
