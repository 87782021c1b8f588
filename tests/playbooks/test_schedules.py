"""Cron lines as times, and what becomes of the fires that were missed. UTC, so no hour comes twice or never."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from playbooks.schedules import MOST_MISSED, MissedPolicy, NeverFires, Plan, cron_fault, plan, upcoming

NIGHTLY = "30 2 * * *"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
#: half past two
DUE = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize("line", ["* * * * * *", "61 * * * *", "@reboot", "", "0 0 30 2 *", "0 8 * *", "H * * * *"])
def test_a_line_that_is_none_or_never_fires_is_refused(line: str) -> None:
    assert cron_fault(line)


@pytest.mark.parametrize("line", ["* * * * *", "*/5 8-18 * * mon-fri", "0 0 29 2 *", "0 8 1,15 * *"])
def test_a_line_of_five_fields_is_taken(line: str) -> None:
    assert cron_fault(line) is None


def test_fires_are_told_in_order_and_in_utc_whatever_the_zone_of_the_asker() -> None:
    asked_from = datetime(2026, 3, 29, 1, 0, tzinfo=timezone(timedelta(hours=-5)))

    assert upcoming("0 */8 * * *", asked_from, 3) == [
        datetime(2026, 3, 29, 8, tzinfo=UTC),
        datetime(2026, 3, 29, 16, tzinfo=UTC),
        datetime(2026, 3, 30, 0, tzinfo=UTC),
    ]


@pytest.mark.parametrize("policy", MissedPolicy)
@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), MINUTE])
def test_a_fire_in_time_is_made_whatever_the_policy(policy: MissedPolicy, late: timedelta) -> None:
    assert plan(NIGHTLY, since=DUE, now=DUE + late, policy=policy) == Plan(DUE, DUE + DAY)


def test_skip_makes_no_fire_that_is_more_than_a_minute_late() -> None:
    found = plan(NIGHTLY, since=DUE, now=DUE + timedelta(seconds=61), policy=MissedPolicy.SKIP)

    assert found == Plan(None, DUE + DAY, first_missed=DUE)


def test_skip_still_makes_the_fire_of_now_after_others_were_missed() -> None:
    found = plan("* * * * *", since=DUE, now=DUE + 10 * MINUTE, policy=MissedPolicy.SKIP)

    assert found == Plan(DUE + 10 * MINUTE, DUE + 11 * MINUTE, first_missed=DUE)


def test_once_makes_the_latest_of_what_was_missed() -> None:
    found = plan(NIGHTLY, since=DUE, now=DUE + 3 * DAY + MINUTE * 90, policy=MissedPolicy.ONCE)

    assert found == Plan(DUE + 3 * DAY, DUE + 4 * DAY, first_missed=DUE)


def test_all_makes_them_one_after_the_other() -> None:
    now = DUE + 2 * DAY + MINUTE
    fires, since = [], DUE
    while since <= now:
        found = plan(NIGHTLY, since=since, now=now, policy=MissedPolicy.ALL)
        assert not found.left_out
        fires.append(found.fire_at)
        since = found.next_due_at

    assert fires == [DUE, DUE + DAY, DUE + 2 * DAY]
    assert since == DUE + 3 * DAY


@pytest.mark.parametrize(("missed", "left_out"), [(MOST_MISSED, 0), (MOST_MISSED + 1, 1), (500_000, 499_900)])
def test_all_makes_up_for_the_latest_hundred(missed: int, left_out: int) -> None:
    now = DUE + (missed - 1) * MINUTE
    found = plan("* * * * *", since=DUE, now=now, policy=MissedPolicy.ALL)

    assert found.fire_at == DUE + left_out * MINUTE
    assert found.next_due_at == found.fire_at + MINUTE
    assert found.first_missed == (DUE if left_out else None)


def test_what_was_stored_counts_as_a_fire_even_where_the_line_has_none() -> None:
    odd = DUE + timedelta(seconds=17)
    for policy in MissedPolicy:
        assert plan(NIGHTLY, since=odd, now=odd, policy=policy) == Plan(odd, DUE + DAY)


def test_a_line_that_never_fires_says_so() -> None:
    with pytest.raises(NeverFires):
        plan("0 0 30 2 *", since=DUE, now=DUE, policy=MissedPolicy.ONCE)
    with pytest.raises(NeverFires):
        upcoming("", DUE, 1)
