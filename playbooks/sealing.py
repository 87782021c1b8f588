"""Documents at rest: those that hold literal secrets are encrypted, and masked for whoever may not read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from core import strict_json
from core.keyring import keyring
from core.secrets import MASK, Secret, SecretContext, open_sealed, seal

AUTHENTICATION = "authentication_info_definitions"


def at_rest(octets: bytes, *, tenant_id: UUID, version_id: UUID) -> bytes:
    """Return the document encrypted for its row."""
    record = seal(octets.decode("utf-8"), context=_context(tenant_id, version_id), keyring=keyring())
    return record.encode("ascii")


def opened(stored: bytes, *, tenant_id: UUID, version_id: UUID) -> bytes:
    """Return the octets of a document that ``at_rest`` encrypted. Raises SecretUnreadable, MasterKeyMissing."""
    record = bytes(stored).decode("ascii")
    return open_sealed(record, context=_context(tenant_id, version_id), keyring=keyring()).reveal().encode("utf-8")


def masked(document: Any, pointers: Iterable[str]) -> Any:
    """Return the document with stars where the pointers lead. Changes ``document`` in place and returns it."""
    for pointer in pointers:
        parent, name = _place(document, pointer)
        if isinstance(parent, dict) and name in parent:
            parent[name] = MASK
        elif isinstance(parent, list) and name.isdecimal() and int(name) < len(parent):
            parent[int(name)] = MASK
    return document


def authentication_secrets(document: Any, pointers: Iterable[str]) -> dict[str, dict[str, Secret]]:
    """Return the literal secrets of authentication information: its id -> field -> secret."""
    found: dict[str, dict[str, Secret]] = {}
    for pointer in pointers:
        parts = _parts(pointer)
        if len(parts) != 3 or parts[0] != AUTHENTICATION:
            continue
        parent, name = _place(document, pointer)
        value = parent.get(name) if isinstance(parent, Mapping) else None
        if isinstance(value, str):
            found.setdefault(parts[1], {})[name] = Secret(value)
    return found


def _context(tenant_id: UUID, version_id: UUID) -> SecretContext:
    return SecretContext(
        tenant=str(tenant_id), table="playbooks_playbookversion", row=str(version_id), field="document"
    )


def _place(document: Any, pointer: str) -> tuple[Any, str]:
    """Return the object or list that holds what the pointer names, and the last part; (None, ...) when not there."""
    *path, name = _parts(pointer) or [""]
    here = document
    for part in path:
        if isinstance(here, Mapping):
            here = here.get(part)
        elif isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        else:
            here = None
    return here, name


def _parts(pointer: str) -> list[str]:
    return list(_unescaped(pointer))


def _unescaped(pointer: str) -> Iterator[str]:
    for part in pointer.split("/")[1:]:
        yield part.replace("~1", "/").replace("~0", "~")


def parsed(octets: bytes) -> Any:
    """Read a stored document; numbers stay as they were written."""
    return strict_json.loads(octets, allow_nul=True)
