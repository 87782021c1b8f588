"""What ``ssh.exec`` declares (CONNECTORS.md, 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.base import OCTETS, EffectClass, Endpoint, OperationSpec
from core.errors import Invalid
from core.quoting import join_shell


class CommandInvalid(Invalid):
    code = "command_invalid"


def command_text(arguments: Mapping[str, Any]) -> str:
    """Return the shell text of a command, each outside value quoted for its place.

    Raises UnsafePlaceholder where a value cannot be quoted, CommandInvalid.
    """
    parts = arguments.get("command") or ()
    if any(part.type == OCTETS for part in parts):
        raise CommandInvalid("The ssh command is no UTF-8 text.")
    text = join_shell(parts, dialect="sh")
    if not text.strip():
        raise CommandInvalid("The ssh command is empty.")
    return text


def check(arguments: Mapping[str, Any], endpoint: Endpoint) -> None:  # noqa: ARG001
    command_text(arguments)


OPERATIONS = (
    OperationSpec(
        name="ssh.exec",
        title="Run a command over SSH",
        effect=EffectClass.UNSAFE,
        command_types=("ssh",),
        connection_kind="ssh",
        outputs={"type": "string", "description": "Standard output. Standard error and exit code stand beside it."},
        check=check,
        secret_fields=("password", "private_key", "passphrase"),
        unsafe_reason="A shell command may do anything, and the far side does not know our key.",
    ),
)
