"""The compiled workflow: what the engine runs, whatever dialect it was written in.

Frozen values only. `playbooks.cacao.stored` turns them into JSON and back, so that a version keeps the
workflow it was accepted with. Source of the shapes: CACAO Security Playbooks 2.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

#: A variable's value: text in the form of its type, or a JSON object or array (type dictionary); None is unknown.
Value = str | dict[str, Any] | list[Any] | None

#: Name of the step that no document can hold: "run to here and the branch is over".
END = "end"


class StepType(StrEnum):
    START = "start"
    END = "end"
    ACTION = "action"
    PLAYBOOK_ACTION = "playbook-action"
    PARALLEL = "parallel"
    IF = "if-condition"
    WHILE = "while-condition"
    SWITCH = "switch-condition"
    DELAY = "delay"  # no CACAO type: an S4E delay step, a timer that people see as a step


OPENERS = frozenset({StepType.PARALLEL, StepType.IF, StepType.WHILE, StepType.SWITCH})


@dataclass(frozen=True)
class Variable:
    """A declared variable. ``value`` is already in the text form of ``type`` (D21)."""

    name: str
    type: str = "string"
    value: Value = None
    constant: bool = False
    external: bool = False
    description: str = ""
    #: external, and a start need not give it: declared nowhere in the document (variable-undefined, 13.3)
    optional: bool = False

    @property
    def is_author_text(self) -> bool:
        """True for a constant whose value the document itself gives (D29)."""
        return self.constant and not self.external and self.value is not None


@dataclass(frozen=True)
class Command:
    """One instruction as written. ``text`` and ``content`` are decoded when they came as base64.

    ``type`` is the type meant (aliases resolved). ``raw`` is the command object as received. ``..._is_base64``: it
    came as base64. ``..._is_encoded``: it still is, because a reference stands in the base64 itself or the octets are
    not UTF-8; references are replaced first, then it is decoded (12.11). ``for_people``: a person carries it out
    (D16, D18), whatever its type.
    """

    type: str
    text: str | None = None
    text_is_base64: bool = False
    text_is_encoded: bool = False
    content: str | None = None
    content_is_base64: bool = False
    content_is_encoded: bool = False
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    description: str = ""
    for_people: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AgentTarget:
    """An agent or a target. ``properties`` is the object as received, without authentication."""

    id: str
    type: str
    name: str
    description: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    authentication: str | None = None  # id in Workflow.authentication


class QuestionKind(StrEnum):
    DECISION = "decision"  # yes or no, for a condition in prose
    CHOICE = "choice"  # one of keys, for a switch without a variable
    INPUT = "input"  # do this, and give the out-args
    APPROVAL = "approval"  # yes or no, with its own permission and rules


@dataclass(frozen=True)
class Question:
    """A question to people (D16, D18, approvals). ``deadline`` None: the dialect's default (ruling 11)."""

    kind: QuestionKind
    text: str  # may hold references; shown, never executed
    #: names, descriptions and conditions in prose: shown as written, no reference is replaced (12.11)
    is_literal: bool = False
    choices: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    deadline: timedelta | None = None


@dataclass(frozen=True)
class Operation:
    """A call of a connector operation by name, with templated parameters (S4E ``action_ref``)."""

    name: str  # the registry's operation, e.g. "http.request"
    reference: str  # as the author wrote it, e.g. "act-http-request"
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputMapping:
    """Where one variable's value is taken from (12.10). ``variable`` set: read that variable, not the output."""

    name: str
    source: str = "output"  # output, stderr, exit_code, status, header:<name>
    path: tuple[str | int, ...] = ()
    variable: str | None = None
    supported: bool = True  # False: an expression we do not read; the step fails


@dataclass(frozen=True)
class RetryPolicy:
    """A step's own policy: ``attempts`` tries in all, never on an unknown effect (ruling 10).

    ``base`` is the first wait, which doubles up to ``cap``; the cap also holds for a wait that the far side asks for.
    None: the engine's. ``ends_on_no``: a far side's clear "no" is final, as it is without a policy.
    """

    attempts: int
    base: timedelta | None = None
    cap: timedelta | None = None
    ends_on_no: bool = False


@dataclass(frozen=True)
class Step:
    """One step. Exactly one of ``commands``, ``operation``, ``question``, ``wait`` says what an action does."""

    id: str
    type: StepType
    name: str = ""
    description: str = ""
    delay: timedelta = timedelta(0)
    timeout: timedelta | None = None
    owner: str | None = None  # id of the identity that is responsible; questions obey it (12.8)
    variables: Mapping[str, Variable] = field(default_factory=dict)
    on_completion: str | None = None
    on_success: str | None = None
    on_failure: str | None = None
    #: the failure reasons that on_failure takes up, all others go the way of a step without one; empty: every reason.
    #: S4E: on_rejected is for a rejection, not for an approval that expired.
    on_failure_reasons: frozenset[str] = frozenset()
    # action
    commands: tuple[Command, ...] = ()
    agent: str | None = None  # id in Workflow.agents
    targets: tuple[str, ...] = ()  # ids in Workflow.targets
    in_args: tuple[str, ...] = ()
    out_args: tuple[str, ...] = ()
    outputs: tuple[OutputMapping, ...] = ()
    #: own variables that are also written outside, because other steps read them (variable-promoted, 13.3)
    promoted: frozenset[str] = frozenset()
    operation: Operation | None = None
    question: Question | None = None
    wait: timedelta | None = None  # StepType.DELAY
    retry: RetryPolicy | None = None
    on_unknown: str = "review"  # or "fail" (EXECUTION-SEMANTICS 7)
    on_missing_connection: str = "fail"  # or "skip" (S23)
    # openers
    condition: Mapping[str, Any] | None = None  # a parsed condition as JSON (playbooks.cacao.conditions), or None
    expression: str | None = None  # an S4E expression instead of a condition
    on_true: str | None = None
    on_false: str | None = None
    switch: str | None = None  # name of a variable
    cases: Mapping[str, str] = field(default_factory=dict)
    next_steps: tuple[str, ...] = ()
    join: str | None = None  # D14: the parallel's continuation, before which every branch ends
    fail_fast: bool = False
    # playbook-action
    playbook_id: str | None = None
    playbook_version: str | None = None

    @property
    def is_opener(self) -> bool:
        return self.type in OPENERS


@dataclass(frozen=True)
class Workflow:
    """A compiled playbook. Step ids are keys of ``steps``; their order is the document's."""

    start: str
    steps: Mapping[str, Step]
    dialect: str = "cacao"  # or "s4e"
    exception: str | None = None
    variables: Mapping[str, Variable] = field(default_factory=dict)
    agents: Mapping[str, AgentTarget] = field(default_factory=dict)
    targets: Mapping[str, AgentTarget] = field(default_factory=dict)
    #: id -> authentication object WITHOUT its secrets; the secrets are kept apart, encrypted (SEC-17).
    authentication: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    timeout: timedelta | None = None
    #: S4E: declared inputs by name, as the author wrote them: {"type", "required", "default", "description"}
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class OperationInfo:
    """What import and the checker may know of a connector operation (ruling 14)."""

    name: str
    effect: str
    reference: str | None = None  # act-... when S4E may name it
    parameters: Mapping[str, Any] = field(default_factory=dict)  # JSON schema of its inputs
    destructive: bool = False


@dataclass(frozen=True)
class Catalogue:
    """What exists outside the language: passed in by the caller, never looked up here (ruling 14)."""

    operations: Mapping[str, OperationInfo] = field(default_factory=dict)
    #: CACAO command type -> operation name that carries it out
    command_types: Mapping[str, str] = field(default_factory=dict)
    #: names and types that registered fins serve
    fin_capabilities: frozenset[str] = frozenset()
    #: CACAO ids of the tenant's stored playbooks
    playbooks: frozenset[str] = frozenset()
    #: stored playbook id -> ids of the playbooks it starts, for playbook-recursion
    children: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: names of the tenant's connections; None: of no tenant in particular, so nobody knows
    connections: frozenset[str] | None = frozenset()
    #: names of operations that an approval policy covers wherever they stand
    approved: frozenset[str] = frozenset()


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing an import or the checker says. ``pointer`` is a JSON Pointer into the document (RFC 6901)."""

    code: str
    severity: Severity
    pointer: str
    message: str
    relaxed: str | None = None  # what was read instead
    suppressed: bool = False


@dataclass(frozen=True)
class Imported:
    """The answer of one import (13.5). ``workflow`` is None when refused."""

    accepted: bool
    level: str  # "strict" or "lenient"
    strict: bool  # there was nothing to relax
    findings: tuple[Finding, ...]
    document: Any = None  # the parsed JSON, numbers as written
    workflow: Workflow | None = None
    playbook_id: str | None = None
    version: str | None = None  # its `modified`
    jcs_sha256: str | None = None
    #: JSON Pointer -> literal secret found in the document; never logged
    secrets: Mapping[str, str] = field(default_factory=dict)
