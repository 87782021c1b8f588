"""The typed readers of the environment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from config import addresses, env, keys

GOOD: list[tuple[Callable[..., Any], dict[str, Any], str, Any]] = [
    (env.flag, {}, "yes", True),
    (env.flag, {}, "TRUE", True),
    (env.flag, {}, "0", False),
    (env.flag, {"default": True}, "", True),
    (env.integer, {"default": 5}, "", 5),
    (env.integer, {"default": 5}, " 12 ", 12),
    (env.seconds, {"default": 5}, "", timedelta(seconds=5)),
    (env.seconds, {"default": 5}, "0.25", timedelta(milliseconds=250)),
    (env.whole_seconds, {"default": 5}, "25", timedelta(seconds=25)),
    (env.words, {}, "a, b  c", ("a", "b", "c")),
    (env.cidr_list, {}, "127.0.0.0/8, fd00::/8", (ip_network("127.0.0.0/8"), ip_network("fd00::/8"))),
    (env.cidr_list, {}, "", ()),
    (env.host_ports, {}, "web:8000 [fd00::1]:443", (("web", 8000), ("fd00::1", 443))),
    (env.choice, {"default": "INFO", "among": ("DEBUG", "INFO")}, "debug", "DEBUG"),
    (env.text, {"default": "x"}, "", "x"),
]


@pytest.mark.parametrize(("read", "options", "given", "meant"), GOOD)
def test_a_value_is_read_as_meant(read: Callable[..., Any], options: dict[str, Any], given: str, meant: Any) -> None:
    assert read("NAME", environ={"NAME": given}, **options) == meant


BAD: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (env.flag, {}, "maybe"),
    (env.integer, {"default": 1}, "-1"),
    (env.integer, {"default": 1}, "1.5"),
    (env.integer, {"default": 1}, "٣"),
    (env.integer, {"default": 1, "maximum": 10}, "11"),
    (env.seconds, {"default": 1}, "soon"),
    (env.seconds, {"default": 1}, "nan"),
    (env.seconds, {"default": 1, "minimum": 1}, "0.5"),
    (env.whole_seconds, {"default": 1}, "0.5"),
    (env.cidr_list, {}, "10.0.0.1/8"),
    (env.cidr_list, {}, "localhost"),
    (env.choice, {"default": "INFO", "among": ("DEBUG", "INFO")}, "verbose"),
    (env.host_ports, {}, "web"),
    (env.host_ports, {}, "web:70000"),
    (env.required, {"expected": "something"}, " "),
]


@pytest.mark.parametrize(("read", "options", "given"), BAD)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(
    read: Callable[..., Any], options: dict[str, Any], given: str
) -> None:
    with pytest.raises(env.Refused, match=r"Environment variable SOME_NAME: expected \w+"):
        read("SOME_NAME", environ={"SOME_NAME": given}, **options)


def test_a_refusal_does_not_repeat_the_value_which_may_be_a_secret() -> None:
    with pytest.raises(env.Refused) as refused:
        env.integer("NAME", 1, environ={"NAME": "hunter2-hunter2"})
    assert "hunter2" not in str(refused.value)


def test_a_secret_comes_from_the_variable_or_from_the_file_it_names(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from the file\n")
    assert env.secret("KEY", environ={"KEY": "from the variable"}) == "from the variable"
    assert env.secret("KEY", environ={"KEY_FILE": str(file)}) == "from the file"
    assert env.secret("KEY", environ={}) is None


def test_a_secret_given_twice_or_in_an_unreadable_or_empty_file_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for environ in (
        {"KEY": "a", "KEY_FILE": str(empty)},
        {"KEY_FILE": str(tmp_path / "missing")},
        {"KEY_FILE": str(empty)},
    ):
        with pytest.raises(env.Refused):
            env.secret("KEY", environ=environ)


@pytest.mark.parametrize("value", ["changeme", "django-insecure-" + "x1y2z3" * 10, "short", "a" * 60, ""])
def test_a_signing_key_that_is_no_secret_is_refused(value: str) -> None:
    with pytest.raises(env.Refused, match="SECRET_KEY"):
        keys.signing_key("SECRET_KEY", value)


KEY = "Lk1qG8v3m0yRZr9o2cKqf5y0u9R2b0a1N3p4s5t6u7w="
OTHER = "dX2yN0fUeC5mQb8hT3wA1sJkV9zLr6pGqYiXo4E7B+c="


def test_master_keys_are_named_and_the_first_is_primary() -> None:
    primary, known = keys.master_keys("K", f"new:{KEY}, old:{OTHER}")
    assert (primary, known) == ("new", {"new": KEY, "old": OTHER})


def test_a_lone_master_key_is_named_by_its_digest() -> None:
    primary, known = keys.master_keys("K", KEY)
    assert known == {primary: KEY}
    assert len(primary) == 8


@pytest.mark.parametrize("value", ["", "not base64!", "c2hvcnQ=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="])
def test_a_master_key_that_is_no_key_is_refused(value: str) -> None:
    with pytest.raises(env.Refused, match="SALLYPORT_MASTER_KEY"):
        keys.master_keys("SALLYPORT_MASTER_KEY", value)


def test_a_database_url_is_read_whole() -> None:
    read = addresses.database("postgresql://us%40er:p%3Aw@db.example:6543/name?sslmode=verify-full", None)
    assert read == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "name",
        "USER": "us@er",
        "PASSWORD": "p:w",
        "HOST": "db.example",
        "PORT": "6543",
        "OPTIONS": {"sslmode": "verify-full"},
    }


@pytest.mark.parametrize(
    "url", ["mysql://h/n", "postgresql://host", "postgresql://host/a?evil=1", "postgresql://h:port/n", "nonsense"]
)
def test_a_database_url_that_cannot_be_meant_is_refused(url: str) -> None:
    with pytest.raises(env.Refused, match="DATABASE_URL"):
        addresses.database(url, None)


def test_a_redis_url_is_spelled_for_celery() -> None:
    assert addresses.broker("unix:///run/valkey.sock?db=2") == "redis+socket:///run/valkey.sock?virtual_host=2"
    assert addresses.broker("redis://:pw@h:1/0") == "redis://:pw@h:1/0"


def test_a_password_of_redis_is_put_into_its_url() -> None:
    assert addresses.redis("redis://h:6379/1", "a/b@c") == "redis://:a%2Fb%40c@h:6379/1"
    assert addresses.redis("redis://:old@h:6379/1", None) == "redis://:old@h:6379/1"


@pytest.mark.parametrize("url", ["http://h", "redis://", "unix:", "redis://h:x/0"])
def test_a_redis_url_that_cannot_be_meant_is_refused(url: str) -> None:
    with pytest.raises(env.Refused, match="REDIS_URL"):
        addresses.redis(url, None)
