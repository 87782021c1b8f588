"""``ssh.exec`` against a real OpenSSH server."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from pytest_django import Settings

from accounts.models import Tenant
from connectors.base import OCTETS, EffectClass, Outcome, OutcomeKind, Part
from connectors.dispatch import Call, Destination, Result, plan
from connectors.ssh.host_keys import HostKeyUnreadable, read_pins
from tests.connectors.calls import KEY, Connect, Run, carry, outside, parts
from tests.connectors.sshd import KEY_PASSPHRASE, PASSWORD, Sshd, sshd

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with sshd() as running:
        yield running


@pytest.fixture
def host(server: Sshd, connect: Connect) -> Sshd:
    """The server, with a connection that has its key pinned."""
    pinned = {"user": server.user, "host_key": server.fingerprint}
    connect("ssh", "host", server.url, secrets={"private_key": server.private_key}, settings=pinned)
    return server


def ssh(*command: str | Part, name: str = "host", key: str = KEY, **more: Any) -> Call:
    properties = more.pop("properties", {})
    place = Destination("ssh--1", "ssh", name, properties, **more)
    return Call(key=key, arguments={"command": parts(*command)}, command_type="ssh", target=place)


def test_a_command_gives_both_outputs_and_its_exit_code(run: Run, host: Sshd) -> None:
    result = run(ssh("echo out; echo err >&2"))

    outcome = result.outcome
    assert outcome.kind is OutcomeKind.COMPLETED
    assert (outcome.output, outcome.stderr, outcome.exit_code) == ("out\n", "err\n", 0)
    assert result.calls[0]["connection"] == "host"


@pytest.mark.parametrize(("command", "code"), [("echo partly; exit 3", 3), ("kill -9 $$", None)])
def test_a_command_that_fails_has_failed_with_what_it_wrote(
    run: Run,
    host: Sshd,
    command: str,
    code: int | None,
) -> None:
    outcome = run(ssh(command)).outcome

    assert (outcome.kind, outcome.code, outcome.exit_code) == (OutcomeKind.FAILED, "command_failed", code)
    assert outcome.sent is True
    assert outcome.output == ("partly\n" if code else "")


def test_it_is_unsafe_whatever_the_connection_says(tenant: Tenant, host: Sshd, connect: Connect) -> None:
    connect("ssh", "host", host.url, keyed=True)

    assert plan(tenant_id=tenant.id, calls=[ssh("true")]).effect is EffectClass.UNSAFE


def test_a_target_finds_its_host_by_address(run: Run, host: Sshd) -> None:
    address = {"address": {"ipv4": ["127.0.0.1"]}, "port": str(host.port)}

    assert run(ssh("echo found", name="other", properties=address)).outcome.output == "found\n"


def test_an_address_without_a_connection_is_not_called_at_all(run: Run, host: Sshd) -> None:
    outcome = run(ssh("true", name="other", properties={"address": {"ipv4": ["192.88.98.7"]}})).outcome

    assert (outcome.code, outcome.sent) == ("no_connection", False)


@pytest.mark.parametrize("pin", ["fingerprint", "typed fingerprint", "known-hosts line", "public key", "two"])
def test_a_pin_is_a_fingerprint_or_a_key(run: Run, server: Sshd, connect: Connect, pin: str) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").get_fingerprint("sha256")
    pins = {
        "fingerprint": server.fingerprint,
        "typed fingerprint": f"ssh-ed25519 {server.fingerprint}",
        "known-hosts line": server.known_hosts_line,
        "public key": server.host_key.export_public_key().decode(),
        "two": f"{other}\n{server.fingerprint}",
    }
    settings = {"user": server.user, "host_key": pins[pin]}
    connect("ssh", "host", server.url, secrets={"private_key": server.private_key}, settings=settings)

    assert run(ssh("echo in")).outcome.output == "in\n"


@pytest.mark.parametrize("pin", [None, "other", "other type", "unreadable"])
def test_a_host_key_that_is_unknown_or_another_ends_it_before_the_log_on(
    run: Run, server: Sshd, connect: Connect, pin: str | None
) -> None:
    pins = {
        "other": asyncssh.generate_private_key("ssh-ed25519").get_fingerprint("sha256"),
        "other type": asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode(),
        "unreadable": "ssh-ed25519 AAAA",
    }
    settings = {"user": server.user, **({"host_key": pins[pin]} if pin else {})}
    connect("ssh", "host", server.url, secrets={"private_key": server.private_key}, settings=settings)
    before = len(server.log())

    outcome = run(ssh("true")).outcome

    assert (outcome.kind, outcome.code, outcome.sent, outcome.retry) == (
        OutcomeKind.FAILED,
        "host_key_unknown",
        False,
        False,
    )
    assert "Accepted" not in server.log()[before:]
    assert "userauth" not in server.log()[before:]


def test_a_changed_host_key_is_refused_before_the_log_on(run: Run, connect: Connect) -> None:
    with sshd() as first:
        settings = {"user": first.user, "host_key": first.fingerprint}
        connect("ssh", "host", first.url, secrets={"private_key": first.private_key}, settings=settings)
        assert run(ssh("echo in")).outcome.kind is OutcomeKind.COMPLETED
        port = first.port
    with sshd(port=port) as second:
        outcome = run(ssh("echo in")).outcome

        assert (outcome.code, outcome.sent) == ("host_key_unknown", False)
        assert second.fingerprint in outcome.message


def test_a_key_with_a_passphrase_and_a_password_log_on_too(run: Run, connect: Connect) -> None:
    with sshd(with_password=True) as host:
        settings = {"user": host.user, "host_key": host.fingerprint}
        for secrets in (
            {"private_key": host.locked_key, "passphrase": KEY_PASSPHRASE},
            {"password": PASSWORD},
        ):
            connect("ssh", "host", host.url, secrets=secrets, settings=settings)
            outcome = run(ssh("echo in; printenv SSH_AUTH_SOCK; true")).outcome
            assert (outcome.kind, outcome.output) == (OutcomeKind.COMPLETED, "in\n"), outcome


@pytest.mark.parametrize(
    ("secrets", "code"),
    [
        ({"password": "not-this-one-123"}, "unauthorized"),
        ({"private_key": asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()}, "unauthorized"),
        ({"private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"}, None),
        (None, "unauthorized"),
    ],
)
def test_a_wrong_credential_is_refused_and_marks_the_connection(
    run: Run, server: Sshd, connect: Connect, secrets: dict[str, str] | None, code: str | None
) -> None:
    settings = {"user": server.user, "host_key": server.fingerprint}
    connection = connect("ssh", "host", server.url, secrets=secrets, settings=settings)

    outcome = run(ssh("true")).outcome

    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, code or "credential_unreadable")
    assert (outcome.sent, outcome.retry) == (False, False)
    connection.refresh_from_db()
    assert bool(connection.last_error) is (code == "unauthorized")


def test_nobody_listening_is_a_refusal_before_sending(run: Run, connect: Connect, server: Sshd) -> None:
    settings = {"user": server.user, "host_key": server.fingerprint}
    connect("ssh", "nobody", "ssh://127.0.0.1:9", secrets={"password": "a-password-123"}, settings=settings)

    outcome = run(ssh("true", name="nobody")).outcome

    assert (outcome.code, outcome.sent, outcome.retry) == ("connect_failed", False, None)


def test_a_host_outside_the_deployments_networks_is_not_reached(run: Run, host: Sshd, settings: Settings) -> None:
    settings.SALLYPORT_ALLOW_NETWORKS = []
    before = len(host.log())

    outcome = run(ssh("true")).outcome

    assert (outcome.code, outcome.sent) == ("destination_refused", False)
    assert "Connection from" not in host.log()[before:]


def test_a_lease_that_is_over_keeps_the_command_from_being_sent(run: Run, host: Sshd, tmp_path: Path) -> None:
    outcome = run(ssh(f"touch {tmp_path}/sent"), before_send=lambda: False).outcome

    assert (outcome.code, outcome.sent) == ("lease_lost", False)
    assert not (tmp_path / "sent").exists()


def test_a_command_that_takes_too_long_leaves_its_effect_unknown(run: Run, server: Sshd, connect: Connect) -> None:
    settings = {"user": server.user, "host_key": server.fingerprint, "call_limit": 1}
    connect("ssh", "host", server.url, secrets={"private_key": server.private_key}, settings=settings)

    began = time.monotonic()
    outcome = run(ssh("sleep 30")).outcome

    assert (outcome.kind, outcome.sent) == (OutcomeKind.UNKNOWN, True)
    assert time.monotonic() - began < 15


def test_a_stop_during_a_command_leaves_its_effect_unknown(tenant: Tenant, host: Sshd, tmp_path: Path) -> None:
    stop, results = threading.Event(), list[Result]()
    os.mkfifo(tmp_path / "begun")
    planned = plan(tenant_id=tenant.id, calls=[ssh(f"echo > {tmp_path}/begun; sleep 30")])
    worker = threading.Thread(target=lambda: results.append(carry(planned, cancelled=stop)))
    worker.start()
    (tmp_path / "begun").read_text()  # until the command has written

    stop.set()
    worker.join(timeout=5)

    assert (results[0].outcome.kind, results[0].was_stopped) == (OutcomeKind.UNKNOWN, True)


def test_a_connection_that_breaks_during_a_command_leaves_its_effect_unknown(run: Run, host: Sshd) -> None:
    # The parent of the shell is the server's process for this connection.
    outcome = run(ssh("kill -9 $PPID; sleep 5")).outcome

    assert (outcome.kind, outcome.sent) == (OutcomeKind.UNKNOWN, True)


def test_more_output_than_is_kept_fails_and_memory_is_bounded(run: Run, host: Sshd) -> None:
    outcome = run(ssh("yes 0123456789abcdef")).outcome

    assert (outcome.kind, outcome.code, outcome.sent) == (OutcomeKind.FAILED, "bad_answer", True)


def test_octets_that_are_no_text_are_replaced(run: Run, host: Sshd) -> None:
    assert run(ssh(r"printf 'a\377b'")).outcome.output == "a\ufffdb"


VALUES = [
    "plain",
    "two words",
    "it's",
    'say "x"',
    "$(touch {canary})",
    "`touch {canary}`",
    "; touch {canary}",
    "&& touch {canary}",
    "| touch {canary}",
    "a\ntouch {canary}",
    "a\r\nb",
    "$HOME",
    "${IFS}",
    "*",
    "~",
    "!x",
    "%n",
    "\\",
    "\\'",
    "' ; touch {canary} ; '",
    "\u2018x\u2019 \u201cy\u201d",
    "#x",
    ">(touch {canary})",
    "x" * 60_000,
]


@pytest.mark.parametrize("around", ["", "'", '"'], ids=["bare", "single", "double"])
def test_values_arrive_octet_by_octet_whatever_they_hold(
    run: Run,
    host: Sshd,
    tmp_path: Path,
    around: str,
) -> None:
    canary = tmp_path / "canary"
    values = [value.replace("{canary}", str(canary)) for value in VALUES]
    words = [text for value in values for text in (f" {around}", outside(value), around)]

    outcome = run(ssh("printf '%s\\0'", *words)).outcome

    assert outcome.kind is OutcomeKind.COMPLETED, outcome
    assert outcome.output.split("\0")[:-1] == values
    assert not canary.exists()


@pytest.mark.parametrize("value", ["-rf", "--output=x", "@/etc/passwd", "a\0b", "x" * 70_000])
@pytest.mark.parametrize("around", ["", "'", '"'], ids=["bare", "single", "double"])
def test_a_value_that_a_program_would_read_as_something_else_is_refused(
    run: Run,
    host: Sshd,
    value: str,
    around: str,
) -> None:
    outcome = run(ssh(f"cat {around}", outside(value), around)).outcome

    assert (outcome.kind, outcome.code, outcome.sent) == (OutcomeKind.FAILED, "unsafe_placeholder", False)


@pytest.mark.parametrize(
    "command",
    [
        (outside("id"),),
        ("sh -c 'echo ", outside("a; id"), "'"),
        ("cat <<X\n", outside("a b"), "\nX"),
        ("echo $(", outside("id x"), ")"),
        ("python3 -c 'print(\"", outside('"); import os'), "\")'"),
    ],
)
def test_a_value_is_refused_where_no_quoting_holds(run: Run, host: Sshd, command: tuple[Any, ...]) -> None:
    before = len(host.log())

    outcome = run(ssh(*command)).outcome

    assert (outcome.kind, outcome.code, outcome.sent) == (OutcomeKind.FAILED, "unsafe_placeholder", False)
    assert "Connection from" not in host.log()[before:]


def test_the_authors_own_constant_may_be_the_command(run: Run, host: Sshd) -> None:
    assert run(ssh(Part("echo of the author", name="__command__"))).outcome.output == "of the author\n"


def test_commands_run_in_order_on_each_target_and_the_first_failure_ends_it(
    run: Run,
    host: Sshd,
    tmp_path: Path,
) -> None:
    calls = [
        ssh(command, key=f"{KEY}.{number}.1")
        for number, command in enumerate((f"echo 1 >> {tmp_path}/order", "exit 4", f"echo 3 >> {tmp_path}/order"), 1)
    ]

    result = run(*calls)

    assert (result.outcome.kind, result.outcome.exit_code, result.outcome.sent) == (OutcomeKind.FAILED, 4, True)
    assert [call["key"] for call in result.calls] == [f"{KEY}.1.1", f"{KEY}.2.1"]
    assert (tmp_path / "order").read_text() == "1\n"


def test_a_later_call_that_was_not_sent_does_not_unsay_an_earlier_one(run: Run, host: Sshd, connect: Connect) -> None:
    connect("ssh", "nobody", "ssh://127.0.0.1:9", settings={"user": "x", "host_key": host.fingerprint})

    outcome: Outcome = run(ssh("true"), ssh("true", name="nobody")).outcome

    assert (outcome.kind, outcome.code, outcome.sent) == (OutcomeKind.FAILED, "connect_failed", True)


@pytest.mark.parametrize("command", [(" \n",), (Part("/w==", type=OCTETS),), ()])
def test_a_command_without_text_is_refused(run: Run, host: Sshd, command: tuple[Any, ...]) -> None:
    outcome = run(ssh(*command)).outcome

    assert (outcome.code, outcome.sent) == ("command_invalid", False)


def test_no_secret_stands_in_the_arguments_of_a_process(run: Run, host: Sshd) -> None:
    listed = run(ssh("ps -eo args")).outcome.output

    assert not re.search("BEGIN OPENSSH|PRIVATE KEY", str(listed))


@pytest.mark.parametrize("text", ["", "SHA256:short", "ssh-ed25519", "hello", "ssh-ed25519 !!!!"])
def test_a_pin_that_cannot_be_read_is_none(text: str) -> None:
    with pytest.raises(HostKeyUnreadable):
        read_pins(text)
