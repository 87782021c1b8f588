"""A real OpenSSH server on loopback, with keys, users and a directory of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

PASSWORD = "stand-in-pass-phrase-42"
KEY_PASSPHRASE = "stand-in-key-phrase-77"
_SEPARATION = Path("/run/sshd")


@dataclass
class Sshd:
    """A running server. ``log()`` is what it wrote so far."""

    port: int
    user: str
    private_key: str
    locked_key: str  # the same key under KEY_PASSPHRASE
    host_key: asyncssh.SSHKey
    directory: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"ssh://127.0.0.1:{self.port}"

    @property
    def fingerprint(self) -> str:
        return self.host_key.get_fingerprint("sha256")

    @property
    def known_hosts_line(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.host_key.export_public_key().decode().strip()}"

    def log(self) -> str:
        return (self.directory / "log").read_text()


@contextmanager
def sshd(*, with_password: bool = False, port: int | None = None) -> Iterator[Sshd]:
    """Start a server; skip the test where none is installed, or where this user cannot give it a password file."""
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("no sshd is installed (Debian: openssh-server)")
    if os.geteuid() == 0:
        _SEPARATION.mkdir(mode=0o755, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="sshd-"))
    try:
        server = _start(program, directory, with_password=with_password, port=port or _free_port())
        try:
            yield server
        finally:
            server.process.terminate()
            server.process.wait(10)
    finally:
        shutil.rmtree(directory)


def _start(program: str, directory: Path, *, with_password: bool, port: int) -> Sshd:
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    client_key = asyncssh.generate_private_key("ssh-ed25519")
    _write(directory / "host_key", host_key.export_private_key().decode())
    _write(directory / "authorized_keys", client_key.export_public_key().decode())
    options = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": directory / "host_key",
        "PidFile": "none",
        "AuthorizedKeysFile": directory / "authorized_keys",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "yes" if with_password else "no",
        "KbdInteractiveAuthentication": "no",
        "AcceptEnv": "none",
        "LogLevel": "VERBOSE",
    }
    _write(directory / "conf", "".join(f"{name} {value}\n" for name, value in options.items()))
    command = [program, "-D", "-e", "-f", str(directory / "conf")]
    if with_password:
        command = _with_password_file(command, directory)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    server = Sshd(
        port=port,
        user=getpass.getuser(),
        private_key=client_key.export_private_key().decode(),
        locked_key=client_key.export_private_key(passphrase=KEY_PASSPHRASE, rounds=16, ignore_few_rounds=True).decode(),
        host_key=host_key,
        directory=directory,
        process=process,
    )
    _wait_until_it_listens(server)
    return server


def _with_password_file(command: list[str], directory: Path) -> list[str]:
    """Run it where /etc/shadow is a file of ours: a mount that nobody else sees and that ends with the server."""
    hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=False)
    shadow = directory / "shadow"
    _write(shadow, f"{getpass.getuser()}:{hashed.stdout.strip()}:19000:0:99999:7:::\n")
    inside = ["unshare", "--mount", "sh", "-c", f'mount --bind {shadow} /etc/shadow && exec "$@"', "sh"]
    if hashed.returncode or subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user cannot give a server a password file of its own")
    return [*inside, *command]


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_listens(server: Sshd) -> None:
    for _ in range(200):
        if server.process.poll() is not None:
            raise RuntimeError(f"sshd ended: {server.log()}")
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        except OSError:
            server.process.poll()
            try:
                server.process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
    raise RuntimeError("sshd does not listen")
