"""Settings of connections: what means nothing is refused, not kept."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.connection_settings import SettingsInvalid, check_settings, secret_field


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("http", {"unknown": 1}),
        ("http", {"idempotent": "yes"}),
        ("http", {"call_limit": 0}),
        ("http", {"call_limit": True}),
        ("http", {"auth_header": "Host"}),
        ("http", {"auth_header": "a b"}),
        ("http", {"user": "a:b"}),
        ("slack", {"user": "a"}),
        ("ssh", {"host_key": ""}),
        ("jira", {"user": "a\r\nb"}),
    ],
)
def test_a_setting_that_does_not_fit_is_named(kind: str, given: dict[str, Any]) -> None:
    with pytest.raises(SettingsInvalid) as refusal:
        check_settings(kind, given)

    assert [fault.path for fault in refusal.value.fields] == [f"settings.{name}" for name in given]


def test_settings_of_the_kind_are_taken() -> None:
    check_settings("http", {"user": "a", "call_limit": 2.5, "idempotent": True, "auth_header": "X-Api-Key"})
    check_settings("ssh", {"user": "root", "host_key": "SHA256:abc"})
    check_settings("jira", {"user": "a@example.org"})


@pytest.mark.parametrize(
    ("kind", "value", "given", "expected"),
    [
        ("http", "x", {}, "token"),
        ("http", "x", {"user": "a"}, "password"),
        ("jira", "x", {"user": "a"}, "token"),
        ("slack", "x", {}, "token"),
        ("ssh", "x", {"user": "a"}, "password"),
        ("ssh", "-----BEGIN OPENSSH PRIVATE KEY-----\nabc", {"user": "a"}, "private_key"),
    ],
)
def test_one_secret_is_what_its_kind_needs(kind: str, value: str, given: dict[str, Any], expected: str) -> None:
    assert secret_field(kind, value, given) == expected
