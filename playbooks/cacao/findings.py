"""Collects what an import has to say, and knows which codes refuse.

Source: CACAO.md 13. At strict level a fault that the lenient reading relaxes is an error, at lenient level a warning.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from playbooks.cacao.types import Finding, Severity

MAX_OF_A_CODE: Final = 1_000

Level = Literal["strict", "lenient"]

#: 13.2: refused at either level. `variable-reserved` is D25.
REFUSED: Final = frozenset(
    """
    json-invalid document-too-large playbook-type spec-version id-missing workflow-invalid start-unresolved
    start-without-next step-type-unknown command-type-unknown step-unresolved agent-unresolved target-unresolved
    auth-unresolved branches-none cycle-without-while constant-written property-type playbook-recursion
    version-conflict variable-reserved
    """.split()
)

#: 13.3: an error at strict level, relaxed at lenient level
RELAXED: Final = frozenset(
    """
    schema required-missing identifier-format identifier-prefix time-order empty-collection start-type end-missing
    action-missing exception-unresolved next-missing next-conflict next-on-start next-on-end shared-end join-missing
    loop-back while-on-false branches-too-few branches-duplicate branch-as-list if-outcome-branches
    condition-missing condition-prose condition-lenient switch-missing switch-lenient commands-missing
    command-incomplete command-type-alias start-line agent-missing address-missing address-format category-missing
    contact-format variable-name variable-value variable-redeclared variable-promoted variable-undefined
    """.split()
)


def as_level(text: str) -> Level:
    """Return ``text`` as a level. Raises ValueError where it is neither."""
    if text == "strict":
        return "strict"
    if text == "lenient":
        return "lenient"
    raise ValueError(f"{text!r} is no import level; strict and lenient are.")


def pointer(*tokens: str | int) -> str:
    """Return the JSON Pointer (RFC 6901) of ``tokens``; no token is the whole document."""
    return "".join(f"/{_escaped(str(token))}" for token in tokens)


def below(parent: str, *tokens: str | int) -> str:
    """Return the pointer of something inside ``parent``, which is a pointer already."""
    return parent + pointer(*tokens)


def _escaped(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1") if "~" in token or "/" in token else token


class Report:
    """The findings of one import, in the order in which they were made; the same thing is said once.

    Of each code the first MAX_OF_A_CODE are kept; that there are more is a finding too.
    """

    def __init__(self, level: Level) -> None:
        self.level: Level = level
        self._findings: dict[tuple[str, str], Finding] = {}
        self._faulty: set[str] = set()
        self._count: dict[str, int] = {}

    @property
    def findings(self) -> tuple[Finding, ...]:
        omitted = (
            Finding("findings-omitted", Severity.NOTE, "", f"There are more findings of the code `{code}`.")
            for code in self._count
            if self.is_full(code)
        )
        return (*self._findings.values(), *omitted)

    def is_full(self, code: str) -> bool:
        return self._count.get(code, 0) > MAX_OF_A_CODE

    @property
    def is_refused(self) -> bool:
        return any(finding.severity == Severity.ERROR for finding in self._findings.values())

    @property
    def is_strict(self) -> bool:
        """True where there was nothing to relax, and nothing that refuses."""
        return not any(finding.code in REFUSED or finding.code in RELAXED for finding in self._findings.values())

    def is_unreadable(self) -> bool:
        """Return whether a fault was found that no level relaxes."""
        return any(finding.code in REFUSED for finding in self._findings.values())

    def names(self, at: str) -> bool:
        """Return whether a fault of 13.2 or 13.3 was reported at exactly this place."""
        return at in self._faulty

    def refuse(self, code: str, at: str, message: str) -> None:
        assert code in REFUSED, code
        self._faulty.add(at)
        self._add(Finding(code, Severity.ERROR, at, message))

    def relax(self, code: str, at: str, message: str, relaxed: str) -> None:
        """Report a fault that the lenient level reads as ``relaxed`` says."""
        assert code in RELAXED, code
        self._faulty.add(at)
        severity = Severity.ERROR if self.level == "strict" else Severity.WARNING
        self._add(Finding(code, severity, at, message, relaxed=relaxed))

    def warn(self, code: str, at: str, message: str, relaxed: str | None = None) -> None:
        assert code not in REFUSED, code
        assert code not in RELAXED, code
        self._add(Finding(code, Severity.WARNING, at, message, relaxed=relaxed))

    def include(self, findings: Iterable[Finding]) -> None:
        """Take over what a checker found, which refuses nothing."""
        for finding in findings:
            self._add(finding)

    def _add(self, finding: Finding) -> None:
        key = (finding.code, finding.pointer)
        if key not in self._findings:
            self._count[finding.code] = self._count.get(finding.code, 0) + 1
            if self._count[finding.code] <= MAX_OF_A_CODE:
                self._findings[key] = finding
