"""Cron lines: checked, and read as times. Five fields, in UTC. Pure: the caller brings the time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from croniter import CroniterBadDateError, croniter

LONGEST_CRON: Final = 100
#: a fire that is later than this was missed
GRACE: Final = timedelta(seconds=60)
#: how many missed fires the policy ``all`` makes up for, the latest ones
MOST_MISSED: Final = 100

_MINUTE: Final = timedelta(minutes=1)
#: any moment does: the question is whether the line ever fires
_SOME_DAY: Final = datetime(2024, 1, 1, tzinfo=UTC)
#: numbers, lists, ranges, steps and three-letter names; croniter knows more (R, H, L, #), other schedulers do not
_CRON_FIELD: Final = re.compile(r"(?:[0-9*/,\-]|[A-Za-z]{3})+")


class MissedPolicy(StrEnum):
    """What becomes of the fires that nobody was there for."""

    SKIP = "skip"  # none of them starts anything
    ONCE = "once"  # the latest of them starts one execution
    ALL = "all"  # each of them starts one, the latest hundred at most


@dataclass(frozen=True)
class Plan:
    """What a due schedule does now: which fire it makes (None: none), and when it is due next.

    ``left_out``: fires before that one which start nothing, as the policy says; ``first_missed`` is the earliest.
    """

    fire_at: datetime | None
    next_due_at: datetime
    first_missed: datetime | None = None

    @property
    def left_out(self) -> bool:
        return self.first_missed is not None


class NeverFires(ValueError):
    """The cron line cannot be read, or names no day that ever comes."""


def cron_fault(line: str) -> str | None:
    """Return what is wrong with a cron line of five fields in UTC, or None."""
    fields = line.split()
    if len(line) > LONGEST_CRON or len(fields) != 5 or not all(_CRON_FIELD.fullmatch(part) for part in fields):
        return "Must be a cron line of five fields: minute, hour, day of month, month, day of week."
    try:
        croniter(line, _SOME_DAY).get_next(datetime)
    except CroniterBadDateError:
        return "Names no day that ever comes."
    except (ValueError, KeyError, TypeError) as error:
        return f"Is no cron line: {str(error)[:200]}."
    return None


def next_fire(cron: str, after: datetime) -> datetime:
    """Return the first fire after that moment. Raises NeverFires."""
    return upcoming(cron, after, 1)[0]


def upcoming(cron: str, after: datetime, count: int) -> list[datetime]:
    """Return the next fires after that moment, in order. Raises NeverFires."""
    try:
        fires = croniter(cron, after.astimezone(UTC))
        return [fires.get_next(datetime) for _ in range(count)]
    except (ValueError, KeyError, TypeError) as error:
        raise NeverFires(f"The schedule {cron[:LONGEST_CRON]!r} has no next time.") from error


def plan(cron: str, *, since: datetime, now: datetime, policy: MissedPolicy) -> Plan:
    """Return what a schedule that has been due since ``since`` does at ``now``. Raises NeverFires.

    ``since`` counts as a fire, whatever the line says: it is what was stored.
    """
    if policy is MissedPolicy.ALL:
        fire_at = _first_within(cron, since, now, MOST_MISSED)
        return Plan(fire_at, next_fire(cron, fire_at), first_missed=since if fire_at > since else None)
    latest = max(since, _fires_back(cron, now, 1)[0])
    next_due_at = next_fire(cron, now)
    if policy is MissedPolicy.SKIP and now - latest > GRACE:
        return Plan(None, next_due_at, first_missed=since)
    return Plan(latest, next_due_at, first_missed=since if latest > since else None)


def _first_within(cron: str, since: datetime, now: datetime, most: int) -> datetime:
    """The earliest of the latest ``most`` fires from ``since`` to ``now``."""
    earliest = _fires_back(cron, now, most, until=since)[-1]
    return max(since, earliest)


def _fires_back(cron: str, now: datetime, most: int, *, until: datetime | None = None) -> list[datetime]:
    """At most ``most`` fires up to and with ``now``, the latest first; none beyond the first that is not after
    ``until``."""
    this_minute = now.astimezone(UTC).replace(second=0, microsecond=0)
    found: list[datetime] = []
    try:
        fires = croniter(cron, this_minute + _MINUTE)
        while len(found) < most and (until is None or not found or found[-1] > until):
            found.append(fires.get_prev(datetime))
    except (ValueError, KeyError, TypeError) as error:
        if not found:
            raise NeverFires(f"The schedule {cron[:LONGEST_CRON]!r} has no time.") from error
    return found
