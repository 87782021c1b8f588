"""What a status means (CONNECTORS.md, 1), and how long a far side may make us wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.base import OutcomeKind
from connectors.http.answers import DEFAULT_WAIT, LONGEST_WAIT, failure_of, wait_of

NOON = datetime(2026, 4, 28, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success_is_no_failure(status: int) -> None:
    assert failure_of(status, {}) is None


@pytest.mark.parametrize(
    ("status", "headers", "code", "retry"),
    [
        (301, {}, "redirected", False),
        (307, {}, "redirected", False),
        (400, {}, "client_error", False),
        (401, {}, "unauthorized", False),
        (403, {}, "unauthorized", False),
        (404, {}, "client_error", False),
        (409, {}, "client_error", False),
        (412, {}, "client_error", False),
        (422, {}, "client_error", False),
        (408, {}, "rate_limited", None),
        (425, {}, "rate_limited", None),
        (429, {}, "rate_limited", None),
        (503, {"retry-after": "3"}, "rate_limited", None),
        (500, {}, "server_error", None),
        (502, {}, "server_error", None),
        (503, {}, "server_error", None),
        (504, {}, "server_error", None),
    ],
)
def test_a_refusal_is_final_a_fault_is_the_effect_classes_to_judge(
    status: int, headers: dict[str, str], code: str, retry: bool | None
) -> None:
    outcome = failure_of(status, headers)

    assert outcome is not None
    assert (outcome.kind, outcome.code, outcome.retry, outcome.sent) == (OutcomeKind.FAILED, code, retry, True)
    assert outcome.status == status
    assert (outcome.retry_at is not None) == (code == "rate_limited")


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        ("3", timedelta(seconds=3)),
        ("Tue, 28 Apr 2026 12:00:20 GMT", timedelta(seconds=20)),
        ("Tue, 28 Apr 2026 11:00:00 GMT", DEFAULT_WAIT),
        ("Tue, 28 Apr 2099 12:00:00 GMT", LONGEST_WAIT),
        ("99999999999999999999999999", LONGEST_WAIT),
        ("-5", DEFAULT_WAIT),
        ("0", DEFAULT_WAIT),
        ("soon", DEFAULT_WAIT),
        ("", DEFAULT_WAIT),
        (None, DEFAULT_WAIT),
    ],
)
def test_a_wait_is_bounded_whatever_is_asked_for(retry_after: str | None, wait: timedelta) -> None:
    assert wait_of(retry_after, now=NOON) == wait
