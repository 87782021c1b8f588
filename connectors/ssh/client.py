"""One command over one SSH connection: pinned host key, no agent, no forwarding, no terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import asyncssh

from connectors.ssh.host_keys import PinnedKeys
from core.secrets import Secret

#: of standard output and standard error, in octets (SEC-05)
OUTPUT_LIMIT = 4 * 2**20
_CHUNK = 64 * 1024


class NotConnected(Exception):
    """No command was sent. ``code`` is a word for the outcome."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class TooMuchOutput(Exception):
    """The command ran and wrote more than is kept."""


@dataclass(frozen=True)
class Login:
    user: str
    password: Secret | None = None
    private_key: Secret | None = None
    passphrase: Secret | None = None


@dataclass(frozen=True)
class Finished:
    """What a command left behind. ``exit_code`` None: it was ended by ``signal``, or the connection broke."""

    stdout: str
    stderr: str
    exit_code: int | None
    signal: str | None


class _Pinned(asyncssh.SSHClient):
    """Accepts a server only by its pinned key."""

    def __init__(self, pins: PinnedKeys) -> None:
        self._pins = pins
        self.refused: str | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        if self._pins.holds(key):
            return True
        self.refused = key.get_fingerprint("sha256")
        return False


async def connect(address: str, port: int, *, pins: PinnedKeys, login: Login) -> asyncssh.SSHClientConnection:
    """Open a connection to a checked address and log on. Raises NotConnected."""
    client = _Pinned(pins)
    try:
        return await asyncssh.connect(
            address,
            port,
            # In a thread: opening a locked key takes the CPU for a while, and the loop is everybody's.
            options=await asyncio.to_thread(_options, login, pins),
            client_factory=lambda: client,
        )
    except asyncssh.HostKeyNotVerifiable:
        shown = f" It shows {client.refused}." if client.refused else ""
        raise NotConnected("host_key_unknown", f"The server's host key is not the pinned one.{shown}") from None
    except asyncssh.PermissionDenied:
        raise NotConnected("unauthorized", "The server refused the log-on.") from None
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
        raise NotConnected("credential_unreadable", "The stored private key cannot be read.") from None
    except asyncssh.Error as error:
        raise NotConnected("connect_failed", f"SSH could not be set up: {type(error).__name__}.") from None
    except OSError as error:
        raise NotConnected("connect_failed", f"No connection: {error.strerror or type(error).__name__}.") from None


def _options(login: Login, pins: PinnedKeys) -> asyncssh.SSHClientConnectionOptions:
    """Everything that would read this machine's files or agent is off."""
    keys = None
    if login.private_key is not None:
        passphrase = login.passphrase.reveal() if login.passphrase else None
        keys = [asyncssh.import_private_key(login.private_key.reveal(), passphrase)]
    return asyncssh.SSHClientConnectionOptions(
        username=login.user,
        password=login.password.reveal() if login.password else None,
        client_keys=keys,
        known_hosts=([], [], []),  # every key is unknown, so that `_Pinned` alone decides
        server_host_key_algs=f"^{','.join(pins.algorithms)}" if pins.algorithms else "default",
        config=None,
        agent_path=None,
        agent_forwarding=False,
        x11_forwarding=False,
        gss_auth=False,
        gss_kex=False,
        client_host_keysign=False,
        connect_timeout=None,  # the caller's limit holds for all of it
        encoding="utf-8",
    )


async def execute(
    connection: asyncssh.SSHClientConnection, command: str, *, stdin: str | None, before_send: Callable[[], bool]
) -> Finished | None:
    """Run ``command`` and collect what it writes. None: ``before_send`` said no, nothing was sent.

    Raises TooMuchOutput, asyncssh.Error or OSError when the connection breaks.
    """
    if not before_send():
        return None
    async with connection.create_process(
        command, input=(stdin or "").encode(), encoding=None, term_type=None, window=_CHUNK * 4
    ) as process:
        stdout, stderr = await asyncio.gather(_read(process.stdout), _read(process.stderr))
        await process.wait_closed()
    return Finished(
        stdout=stdout.decode("utf-8", "replace"),
        stderr=stderr.decode("utf-8", "replace"),
        exit_code=process.exit_status if process.exit_signal is None else None,
        signal=process.exit_signal[0] if process.exit_signal else None,
    )


async def _read(stream: asyncssh.SSHReader[bytes]) -> bytes:
    collected = bytearray()
    while chunk := await stream.read(_CHUNK):
        collected += chunk
        if len(collected) > OUTPUT_LIMIT:
            raise TooMuchOutput
    return bytes(collected)
