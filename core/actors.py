"""Who acts. Stored on every event and audit entry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class ActorKind(StrEnum):
    USER = "user"
    KEY = "key"
    TRIGGER = "trigger"
    SYSTEM = "system"


@dataclass(frozen=True)
class Actor:
    """A caller: ``id`` is the row's id as text, ``name`` what people read (an e-mail, a key's name).

    ``person`` is the user behind the call (a key's owner), so that four-eyes rules count a person once.
    """

    kind: ActorKind
    id: str
    name: str
    person: UUID | None = None
    permissions: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    def may(self, permission: str) -> bool:
        return permission in self.permissions


SYSTEM = Actor(kind=ActorKind.SYSTEM, id="system", name="system")
