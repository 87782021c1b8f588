"""What the checker can say: its codes with their severities, and the list that it fills.

Source: CACAO.md 15. None of these findings refuses a playbook.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from playbooks.cacao.findings import MAX_OF_A_CODE
from playbooks.cacao.types import Finding, Severity

_WARNINGS: Final = """
    step-unreachable step-shared branch-runs-into-continuation variable-maybe-unset output-unmapped condition-type
    condition-constant loop-without-progress target-missing auth-missing parallel-write-conflict parallel-read-write
    destructive-without-approval secret-in-document secret-to-log secret-to-url secret-to-other-target injection-risk
    assignment-unsupported
    """
_NOTES: Final = """
    variable-unused output-overwritten switch-without-default human-agent-command failure-unhandled failure-ignored
    timeout-over-ceiling timeout-without-effect
    """

#: every code of the checker
SEVERITIES: Final[Mapping[str, Severity]] = MappingProxyType(
    dict.fromkeys(_WARNINGS.split(), Severity.WARNING) | dict.fromkeys(_NOTES.split(), Severity.NOTE)
)

#: characters of a name or an id that a message repeats, and names that it lists
_SHOWN: Final = 100
_LISTED: Final = 5


def quoted(name: str) -> str:
    """Return a name as messages show it."""
    return f"`{name[:_SHOWN]}`"


def quoted_all(names: Iterable[str]) -> str:
    """Return a few names as messages show them: ``a, b and c``."""
    return listed([quoted(name) for name in names])


def listed(words: list[str]) -> str:
    shown = words[:_LISTED]
    if len(words) > len(shown):
        return f"{', '.join(shown)} and {len(words) - len(shown)} more"
    return " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)


class Findings:
    """The findings of one check; at one place a code is said once, and of each code MAX_OF_A_CODE are kept."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Finding] = {}
        self._count: dict[str, int] = {}

    def add(self, code: str, at: str, message: str) -> None:
        if (code, at) in self._found:
            return
        self._count[code] = self._count.get(code, 0) + 1
        if self._count[code] <= MAX_OF_A_CODE:
            self._found[(code, at)] = Finding(code, SEVERITIES[code], at, message)

    def is_full(self, code: str) -> bool:
        """Return whether more findings of the code would be left out, so that looking for them is idle."""
        return self._count.get(code, 0) > MAX_OF_A_CODE

    def listed(self) -> list[Finding]:
        omitted = (
            Finding("findings-omitted", Severity.NOTE, "", f"There are more findings of the code `{code}`.")
            for code in self._count
            if self.is_full(code)
        )
        return [*self._found.values(), *omitted]
