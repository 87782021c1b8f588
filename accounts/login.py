"""Login by e-mail address and password, slowed down where it fails often (SEC-33).

An attempt is counted before the password is looked at, in one statement, so that many at once cannot slip through.
Counters are rows in PostgreSQL: emptying Redis resets nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.contrib.auth.hashers import make_password
from django.db import connection, transaction

from accounts import selectors
from accounts.models import LoginCounter, User
from accounts.passwords import LONGEST
from core.errors import LimitReached

WINDOW: Final = timedelta(minutes=1)
#: failures a minute of one account from one address
OF_PAIR: Final = 10
#: failures a minute from one address, over all accounts
OF_ADDRESS: Final = 30
#: failures a minute of one account, over all addresses; beyond it only addresses pass that logged in before, so
#: that nobody can keep a person out
OF_ACCOUNT: Final = 100
KNOWN_FOR: Final = timedelta(days=30)

_COUNT: Final = """
INSERT INTO accounts_logincounter AS counter (subject, window_started_at, failures)
VALUES (%s, clock_timestamp(), 1)
ON CONFLICT (subject) DO UPDATE SET
  failures = CASE WHEN counter.window_started_at < clock_timestamp() - make_interval(secs => %s)
    THEN 1 ELSE counter.failures + 1 END,
  window_started_at = CASE WHEN counter.window_started_at < clock_timestamp() - make_interval(secs => %s)
    THEN clock_timestamp() ELSE counter.window_started_at END
RETURNING failures, succeeded_at > clock_timestamp() - make_interval(secs => %s),
  greatest(1, ceil(extract(epoch FROM window_started_at + make_interval(secs => %s) - clock_timestamp())))::integer
"""
_SUCCEEDED: Final = """
UPDATE accounts_logincounter SET failures = greatest(failures - 1, 0),
  succeeded_at = CASE WHEN subject = %s THEN clock_timestamp() ELSE succeeded_at END
WHERE subject = ANY(%s)
"""
_FORGET: Final = """
DELETE FROM accounts_logincounter
WHERE window_started_at < clock_timestamp() - interval '1 hour'
  AND (succeeded_at IS NULL OR succeeded_at < clock_timestamp() - make_interval(secs => %s))
"""


class TooManyFailures(LimitReached):
    code = "too_many_failed_logins"


@dataclass(frozen=True)
class _Count:
    failures: int
    is_known: bool
    seconds_left: int


def check_login(*, email: str, password: str, address: str) -> User | None:
    """Return the person, or None for every reason alike: unknown address, wrong password, closed account.

    Raises TooManyFailures. ``address`` is the client's.
    """
    pair, of_address, of_account = _subjects(email, address)
    counted = _count(pair), _count(of_address), _count(of_account)
    _refuse_beyond_limits(*counted)
    user = _matching_user(email, password)
    if user is not None:
        _note_success(pair, of_address, of_account)
    return user


def forget_old_counters() -> int:
    """Delete counters that no longer matter; return how many. Runs with every good login."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET, [KNOWN_FOR.total_seconds()])
        return int(cursor.rowcount)


def _matching_user(email: str, password: str) -> User | None:
    if len(password) > LONGEST or "\0" in email + password:
        return None
    user = selectors.find_user(email)
    if user is None:
        make_password(password)  # takes the time that comparing takes
        return None
    return user if user.check_password(password) and selectors.may_log_in(user) else None


def _subjects(email: str, address: str) -> tuple[str, str, str]:
    account = email.strip().lower()[:254]
    named = (f"pair\n{account}\n{address}", f"address\n{address}", f"account\n{account}")
    pair, of_address, of_account = (hashlib.sha256(name.encode("utf-8", "replace")).hexdigest() for name in named)
    return pair, of_address, of_account


def _count(subject: str) -> _Count:
    with connection.cursor() as cursor:
        window, known_for = WINDOW.total_seconds(), KNOWN_FOR.total_seconds()
        cursor.execute(_COUNT, [subject, window, window, known_for, window])
        failures, is_known, seconds_left = cursor.fetchone()
    return _Count(failures, bool(is_known), seconds_left)


def _refuse_beyond_limits(pair: _Count, address: _Count, account: _Count) -> None:
    beyond = [
        count.seconds_left
        for count, limit, passes in (
            (pair, OF_PAIR, False),
            (address, OF_ADDRESS, False),
            (account, OF_ACCOUNT, pair.is_known),
        )
        if count.failures > limit and not passes
    ]
    if beyond:
        raise TooManyFailures("Too many failed logins. Wait a minute, then try again.", retry_after=max(beyond))


@transaction.atomic
def _note_success(pair: str, of_address: str, of_account: str) -> None:
    subjects = sorted((pair, of_address, of_account))
    list(LoginCounter.objects.select_for_update().filter(subject__in=subjects).order_by("subject"))
    with connection.cursor() as cursor:
        cursor.execute(_SUCCEEDED, [pair, subjects])
    forget_old_counters()
