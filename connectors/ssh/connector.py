"""``ssh.exec``: one shell command on the far side."""

from __future__ import annotations

from collections.abc import Callable

import asyncssh

from connectors.addresses import read_url
from connectors.base import Command, Endpoint, Outcome, completed, failed, unknown
from connectors.policy import policy_for
from connectors.ssh import client
from connectors.ssh.host_keys import HostKeyUnreadable, PinnedKeys, read_pins
from connectors.ssh.schema import command_text
from core.outbound import Refused, resolve_and_check


class SshConnector:
    """Runs commands by the exec channel. A new connection each time: nothing is shared between attempts."""

    async def run(self, command: Command) -> Outcome:
        endpoint = command.endpoint
        if endpoint is None:
            return failed("no_target", "An ssh command needs an address.", sent=False, retry=False)
        try:
            pins, login = _ready(endpoint)
            text = command_text(command.arguments)
            connection = await _connected(endpoint, pins, login)
        except client.NotConnected as error:
            is_final = error.code != "connect_failed"
            return failed(error.code, error.message, sent=False, retry=False if is_final else None)
        except Refused as error:
            return failed(error.code, error.message, sent=False, retry=None if error.code == "dns_failed" else False)
        except HostKeyUnreadable as error:
            return failed(error.code, error.message, sent=False, retry=False)
        try:
            return await _executed(connection, text, command.before_send or _yes)
        finally:
            connection.close()  # not waited for: closing goes on while the outcome is recorded


def _ready(endpoint: Endpoint) -> tuple[PinnedKeys, client.Login]:
    pins = read_pins(str(endpoint.settings.get("host_key") or ""))
    user = endpoint.settings.get("user")
    if not isinstance(user, str) or not user:
        raise client.NotConnected("no_user", "The connection names no user to log on as.")
    secrets = endpoint.secrets
    return pins, client.Login(user, secrets.get("password"), secrets.get("private_key"), secrets.get("passphrase"))


async def _connected(endpoint: Endpoint, pins: PinnedKeys, login: client.Login) -> asyncssh.SSHClientConnection:
    """Connect to a checked address of the host: the first that answers (SEC-01, SEC-02)."""
    place = read_url(endpoint.url, kind="ssh")
    failure = client.NotConnected("connect_failed", "The name has no address.")
    for address in await resolve_and_check(place.host, place.port, policy_for(endpoint)):
        try:
            return await client.connect(str(address), place.port, pins=pins, login=login)
        except client.NotConnected as error:
            if error.code != "connect_failed":
                raise
            failure = error
    raise failure


async def _executed(connection: asyncssh.SSHClientConnection, text: str, before_send: Callable[[], bool]) -> Outcome:
    try:
        finished = await client.execute(connection, text, stdin=None, before_send=before_send)
    except client.TooMuchOutput:
        return failed("bad_answer", "The command wrote more than 4 MiB.", sent=True, retry=False)
    except (asyncssh.Error, OSError) as error:
        return unknown(f"The connection broke after the command was sent: {type(error).__name__}.")
    if finished is None:
        return failed("lease_lost", "The lease was over before the command was sent.", sent=False)
    return _outcome(finished)


def _outcome(finished: client.Finished) -> Outcome:
    if finished.exit_code == 0:
        return completed(finished.stdout, stderr=finished.stderr, exit_code=0)
    if finished.exit_code is None and finished.signal is None:
        return unknown("The connection ended before the command did.", output=finished.stdout, stderr=finished.stderr)
    how = f"exit code {finished.exit_code}" if finished.exit_code is not None else f"signal {finished.signal}"
    return failed(
        "command_failed",
        f"The command ended with {how}.",
        sent=True,
        output=finished.stdout,
        stderr=finished.stderr,
        exit_code=finished.exit_code,
    )


def _yes() -> bool:
    return True
