"""What a command does to the world, as far as its text says: reads, changes, destroys.

Source: CACAO.md 15, "Destructive".
"""

from __future__ import annotations

import re
from typing import Final

from playbooks.cacao.types import Catalogue, Command, Step

SHELLS: Final = frozenset({"bash", "ssh", "powershell"})
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: they look things up
_QUERIES: Final = frozenset({"elastic", "kestrel", "sigma", "yara", "jupyter", "manual"})
_DESTRUCTIVE_ACTIVITIES: Final = frozenset(
    {"restrict-access", "disconnect-system", "eliminate-risk", "revert-system", "execute-operation"}
)
_DESTRUCTIVE_ACTIONS: Final = frozenset({"deny", "contain", "delete", "stop", "set"})
_ACTION: Final = re.compile(r'"action"\s*:\s*"([a-z_]{1,40})"')

#: where a program's name may stand: at the beginning, behind an operator, `sudo` or a path
_BEFORE: Final = r"(?:^|[\s;|&(`{!\"']|/)"
_AFTER: Final = r"(?=$|[\s;|&)`}\"'])"
_DESTRUCTIVE_POSIX: Final = re.compile(
    rf"{_BEFORE}(?:rm|rmdir|unlink|shred|wipefs|mkfs(?:\.\w+)?|fdisk|dd|truncate|kill|pkill|killall|shutdown|poweroff"
    rf"|halt|reboot|userdel|groupdel|deluser|blkdiscard){_AFTER}"
    rf"|{_BEFORE}(?:systemctl|service|launchctl|docker|podman|kubectl|nmcli|ip|ifconfig|ifdown|rc-service|initctl)"
    r"\s(?:[^;|&\n]{0,200}\s)?"
    rf"(?:stop|disable|mask|kill|rm|delete|remove|down|off|unload|bootout){_AFTER}"
    rf"|{_BEFORE}(?:passwd\s+-l|usermod\s+(?:-L|--lock)|chage\s+-E\s*0|find\s[^;|\n]{{0,200}}-delete|iptables\s+-F){_AFTER}",
    re.MULTILINE,
)
_DESTRUCTIVE_POWERSHELL: Final = re.compile(
    r"(?<![\w-])(?:(?:Remove|Clear|Format|Stop|Disable|Dismount|Uninstall|Suspend|Revoke|Initialize|Reset)-[A-Za-z]+"
    r"|Restart-Computer|del|erase|rd|rmdir|ri|rm|kill|spps|spsv|taskkill|shutdown|format|diskpart|cipher\s+/w"
    r"|(?:sc|net)(?:\.exe)?\s+(?:stop|delete))(?![\w-])",
    re.IGNORECASE,
)
#: Characters of one command that are searched: what acts stands in front.
_SEARCHED: Final = 100_000


def is_destructive(command: Command, catalogue: Catalogue) -> bool:
    """Return whether a command takes something away: access, data, a service, a machine."""
    operation = catalogue.operations.get(catalogue.command_types.get(command.type, ""))
    if operation is not None and operation.destructive:
        return True
    activity = command.raw.get("playbook_activity")
    if isinstance(activity, str) and activity in _DESTRUCTIVE_ACTIVITIES:
        return True
    if command.type == "http-api":
        return method_of(command) == "DELETE"
    if command.type == "openc2-http":
        found = _ACTION.search(command.content or "", 0, _SEARCHED)
        return found is not None and found[1] in _DESTRUCTIVE_ACTIONS
    if command.type in ("bash", "ssh"):
        return _DESTRUCTIVE_POSIX.search(command.text or "", 0, _SEARCHED) is not None
    if command.type == "powershell":
        return _DESTRUCTIVE_POWERSHELL.search(command.text or "", 0, _SEARCHED) is not None
    return False


def is_destructive_operation(step: Step, catalogue: Catalogue) -> bool:
    """Return whether a step calls a connector's operation, by name, that is declared destructive."""
    operation = catalogue.operations.get(step.operation.name) if step.operation is not None else None
    return operation is not None and operation.destructive


def changes_something(command: Command, catalogue: Catalogue) -> bool:
    """Return whether a command may leave the world another than it was."""
    if is_destructive(command, catalogue):
        return True
    if command.type in _QUERIES:
        return False
    if command.type == "http-api":
        return method_of(command) not in _SAFE_METHODS
    operation = catalogue.operations.get(catalogue.command_types.get(command.type, ""))
    return operation is None or operation.effect != "read"


def method_of(command: Command) -> str:
    """Return the method of an HTTP command's start line, in capitals."""
    return (command.text or "").split(maxsplit=1)[0].upper() if (command.text or "").strip() else ""
