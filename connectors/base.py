"""The one-method protocol behind which every connector stands, and what each declares.

Pure values: nothing here imports Django. A connector never retries, never sleeps, never writes the
database and never logs a value (CONNECTORS.md, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from core.secrets import Secret


class EffectClass(StrEnum):
    """What repeating a call does (EXECUTION-SEMANTICS 2)."""

    READ = "read"
    KEYED = "keyed"
    IDEMPOTENT = "idempotent"
    PROBE = "probe"
    UNSAFE = "unsafe"

    @property
    def is_repeatable(self) -> bool:
        return self in (EffectClass.READ, EffectClass.KEYED, EffectClass.IDEMPOTENT)


#: weakest first: the class of a step with several calls is the weakest of them
STRENGTH = (EffectClass.UNSAFE, EffectClass.PROBE, EffectClass.KEYED, EffectClass.IDEMPOTENT, EffectClass.READ)


def weakest(classes: list[EffectClass]) -> EffectClass:
    """Return the class of a step that makes calls of these classes; no calls count as unsafe."""
    return min(classes, key=STRENGTH.index) if classes else EffectClass.UNSAFE


class OutcomeKind(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    WAITING = "waiting"  # the far side will call back
    UNKNOWN = "unknown"  # sent, and no answer
    EXPIRED = "expired"  # the step's own deadline passed during the call


class ProbeAnswer(StrEnum):
    THERE = "there"
    NOT_THERE = "not_there"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True)
class Outcome:
    """What a connector gives back.

    ``output`` is what the engine reads: text (standard output, a response body) or the JSON value of an
    operation. ``sent``: whether a byte may have reached the far side (False means effect ``none``).
    ``retry`` None: the effect class and the table of EXECUTION-SEMANTICS 7 decide; False: never.
    """

    kind: OutcomeKind
    output: Any = None
    stderr: str | None = None
    exit_code: int | None = None
    status: int | None = None  # HTTP status
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str = ""  # failed: a word of CACAO.md 12.3 or the connector's own
    message: str = ""
    sent: bool = True
    retry: bool | None = None
    retry_at: timedelta | None = None  # "wait that long", as the far side asked
    answers: Mapping[str, Any] | None = None  # the fake connector in place of a person


def completed(output: Any = None, **more: Any) -> Outcome:
    return Outcome(kind=OutcomeKind.COMPLETED, output=output, **more)


def failed(code: str, message: str, *, sent: bool, **more: Any) -> Outcome:
    return Outcome(kind=OutcomeKind.FAILED, code=code, message=message, sent=sent, **more)


def unknown(message: str, **more: Any) -> Outcome:
    return Outcome(kind=OutcomeKind.UNKNOWN, code="no_answer", message=message, **more)


class Trust(StrEnum):
    """Where a part of a text comes from (SEC-11)."""

    AUTHOR = "author"  # literal text, or a constant whose value the document gives
    OUTSIDE = "outside"


#: type of a part whose text is base64, because the octets it stands for are no text
OCTETS = "base64"


@dataclass(frozen=True)
class Part:
    """One part of a text with references: literal text, or a value with its variable type (SEC-10)."""

    text: str
    trust: Trust = Trust.AUTHOR
    type: str = "string"
    name: str = ""  # of the variable; "" for literal text


#: A text whose references are resolved but not yet joined: the connector quotes each part for its place.
Parts = tuple[Part, ...]


@dataclass(frozen=True)
class Endpoint:
    """A connection or a literal target, ready to be called. Secrets are decrypted per attempt.

    ``allow_networks``: CIDRs this connection may reach beyond public addresses (SEC-01).
    ``hosts``: names and CIDRs the secret may go to (SEC-04).
    """

    name: str
    kind: str
    url: str = ""
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)  # user, host_key, idempotency_header, limits ...
    keyed: bool = False
    allow_networks: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    tenant: str = ""  # id of the tenant whose connection it is
    pool: str = ""  # calls of different pools never share a network connection


@dataclass(frozen=True)
class Command:
    """One call: operation, arguments, where to, and the key that is the same in every attempt.

    ``arguments`` are plain JSON values for an operation called by name, and hold ``Parts`` where a CACAO
    text with references is carried out (``command``, ``content``, header values).
    """

    operation: str
    arguments: Mapping[str, Any]
    key: str
    endpoint: Endpoint | None = None
    time_limit: timedelta = timedelta(seconds=30)
    effect: EffectClass = EffectClass.UNSAFE
    fence: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)  # X-Execution and the like, for tracing
    before_send: Callable[[], bool] | None = None  # monotonic lease check; False: do not send
    script: Mapping[str, Any] | None = None  # fake only: the scripted outcome of this visit


class Connector(Protocol):
    """Carries out the commands of one kind of system. Stateless but for pooled connections."""

    async def run(self, command: Command) -> Outcome: ...


class Prober(Protocol):
    """A connector with ``probe`` operations: asks the far side whether this key's effect is there."""

    async def probe(self, command: Command) -> tuple[ProbeAnswer, Outcome | None]: ...


@dataclass(frozen=True)
class OperationSpec:
    """What is declared of an operation, read by engine, checker, documentation and catalogue."""

    name: str
    title: str
    effect: EffectClass = EffectClass.UNSAFE
    inputs: Mapping[str, Any] = field(default_factory=dict)  # JSON schema
    outputs: Mapping[str, Any] = field(default_factory=dict)
    reference: str | None = None  # act-... when S4E may name it
    command_types: tuple[str, ...] = ()  # CACAO command types it carries out
    connection_kind: str | None = None
    key_valid_for: timedelta | None = None
    probe: bool = False
    settle: timedelta = timedelta(0)
    call_limit: timedelta = timedelta(seconds=30)
    destructive: bool = False
    unsafe_reason: str = ""
    #: the toolkit whose action it is (Olorin); of its connections the last used one is taken, and each try is audited
    toolkit: str = ""
    secret_fields: tuple[str, ...] = ()
    #: raises core.errors.Invalid for arguments that cannot be sent as they are; called before a secret is opened
    check: Callable[[Mapping[str, Any], Endpoint], None] | None = None
    #: the class of one call: a connection or the arguments may say more than the default
    effect_of: Callable[[Mapping[str, Any], Endpoint | None], EffectClass] | None = None
