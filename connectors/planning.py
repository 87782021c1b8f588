"""What a step's calls need: values of ``dispatch`` before anything is opened or sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from connectors.base import EffectClass, Endpoint, OperationSpec, Outcome
from connectors.models import Connection
from core.secrets import Secret

#: kind of the endpoints that are no address: a fin comes for its work
FIN: Final = "fin"


@dataclass(frozen=True)
class Destination:
    """A resolved agent or target: references already replaced.

    ``properties`` is the CACAO object, ``authentication`` its authentication object without secrets, ``secrets``
    those of the document by property name. ``outside``: names of properties that hold outside values (SEC-11).
    """

    id: str
    type: str
    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    authentication: Mapping[str, Any] | None = None
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    outside: frozenset[str] = frozenset()

    @property
    def address_is_outside(self) -> bool:
        return any(name.split(".")[0] in ("address", "port") for name in self.outside)


@dataclass(frozen=True)
class Call:
    """One call of a step. ``key``: the step run's id, or ``<id>.<command>.<target>`` where there are several.

    ``arguments``: plain JSON for an ``operation``; ``{"command": Parts, "content": Parts, "headers": {name:
    (Parts, ...)}}`` for a CACAO ``command_type``. ``connection``: a name given by the author.
    """

    key: str
    arguments: Mapping[str, Any]
    operation: str | None = None
    command_type: str | None = None
    target: Destination | None = None
    agent: Destination | None = None
    connection: str | None = None


@dataclass(frozen=True)
class Credential:
    """Secrets that have not been opened: sealed ones of a connection, or those of the document.

    ``as_field``: what the connector calls the one sealed secret; "" leaves each under its own name. ``table``: where
    the sealed ones stand, ``connection_id`` being the row's id there.
    """

    tenant_id: UUID | None = None
    connection_id: UUID | None = None
    sealed: Mapping[str, str] = field(default_factory=dict, repr=False)
    literal: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    as_field: str = ""
    table: str = "connectors_connection"

    def __bool__(self) -> bool:
        return bool(self.sealed or self.literal)


@dataclass(frozen=True)
class PlannedCall:
    """One call with its connector's operation and where it goes. ``endpoints``: the first that can be reached is used.

    No secret is open here; ``dispatch`` puts them into the endpoint for one attempt.
    """

    key: str
    spec: OperationSpec
    arguments: Mapping[str, Any]
    effect: EffectClass
    endpoints: tuple[Endpoint, ...] = ()
    credential: Credential = field(default_factory=Credential)
    connection: Connection | None = None
    destination: str = ""  # name of the target, agent or connection, for the record


@dataclass(frozen=True)
class Plan:
    """What an attempt will do. With ``failure`` set nothing may be sent.

    ``effect`` is the weakest class of the calls; ``key_valid_for`` the shortest time a key is honoured, None when no
    call is keyed; ``settle`` the longest lag of a far side's index; ``call_limit`` the longest time of one call.
    """

    calls: tuple[PlannedCall, ...] = ()
    effect: EffectClass = EffectClass.UNSAFE
    failure: Outcome | None = None
    key_valid_for: timedelta | None = None
    settle: timedelta = timedelta(0)
    call_limit: timedelta = timedelta(0)
