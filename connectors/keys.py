"""A tenant's SSH keys: added, replaced, revoked; the private ones are sealed and never shown again (SEC-17, SEC-21)."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

import asyncssh
from django.db import IntegrityError, transaction

from connectors.key_models import ManagedKey
from core.errors import Conflict, Invalid, NotFound
from core.keyring import keyring
from core.secrets import SecretContext, is_masked, seal

if TYPE_CHECKING:
    from accounts.models import Tenant

TABLE: Final = "connectors_managedkey"
LONGEST: Final = 64 * 1024
#: rounds of the function that locks a key; ssh-keygen takes 16 to 24, and each costs us as much as it cost its author
MOST_ROUNDS: Final = 512
_OPENSSH: Final = b"openssh-key-v1\0"


class KeyExists(Conflict):
    code = "key_exists"


class KeyNotFound(NotFound):
    code = "key_not_found"


class KeyInvalid(Invalid):
    """A key does not parse, its passphrase is wrong, or the two do not belong together. No value is repeated."""

    code = "key_invalid"


@dataclass(frozen=True)
class Pair:
    public: str
    private: str = field(repr=False)
    passphrase: str = field(default="", repr=False)


def list_names(tenant: Tenant) -> list[str]:
    return list(ManagedKey.objects.filter(tenant=tenant).order_by("name").values_list("name", flat=True))


def find_key(tenant_id: UUID, name: str) -> ManagedKey | None:
    return ManagedKey.objects.filter(tenant_id=tenant_id, name=name).first()


@transaction.atomic
def add_key(*, tenant: Tenant, name: str, pair: Pair, now: datetime) -> ManagedKey:
    """Raises KeyInvalid, KeyExists."""
    _check(pair)
    key = ManagedKey(tenant=tenant, name=name, created_at=now)
    _fill(key, pair, now)
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError:
        raise KeyExists(f"There is a key {name!r} already.") from None
    return key


@transaction.atomic
def replace_key(*, tenant: Tenant, name: str, pair: Pair, now: datetime) -> ManagedKey:
    """Raises KeyInvalid, KeyNotFound."""
    _check(pair)
    key = ManagedKey.objects.select_for_update().filter(tenant=tenant, name=name).first()
    if key is None:
        raise KeyNotFound(f"There is no key {name!r}.")
    _fill(key, pair, now)
    key.save()
    return key


def revoke_key(*, tenant: Tenant, name: str) -> None:
    """Delete a key with all its secrets. Raises KeyNotFound."""
    deleted, _ = ManagedKey.objects.filter(tenant=tenant, name=name).delete()
    if not deleted:
        raise KeyNotFound(f"There is no key {name!r}.")


def _fill(key: ManagedKey, pair: Pair, now: datetime) -> None:
    given = {"private_key": pair.private, "passphrase": pair.passphrase}
    key.public, key.updated_at = pair.public.strip(), now
    key.sealed_secrets = {
        name: seal(value, context=SecretContext(str(key.tenant_id), TABLE, str(key.pk), name), keyring=keyring())
        for name, value in given.items()
        if value
    }


def _check(pair: Pair) -> None:
    if any(len(text) > LONGEST for text in (pair.public, pair.private, pair.passphrase)):
        raise KeyInvalid("A key is longer than 64 KiB.")
    if any(is_masked(text) for text in (pair.private, pair.passphrase)):
        raise KeyInvalid("Stars stand in place of a secret. Send the secret itself.")
    if _rounds(pair.private) > MOST_ROUNDS:
        raise KeyInvalid(f"The private key is locked with more than {MOST_ROUNDS} rounds.")
    try:
        public = asyncssh.import_public_key(pair.public)
    except (asyncssh.KeyImportError, ValueError):
        raise KeyInvalid("The public key does not parse.") from None
    try:
        private = asyncssh.import_private_key(pair.private, pair.passphrase or None)
    except asyncssh.KeyEncryptionError:
        raise KeyInvalid("The private key does not open: the passphrase is missing or wrong.") from None
    except (asyncssh.KeyImportError, ValueError):
        why = "The private key does not parse, or the passphrase is wrong."
        raise KeyInvalid(why) from None
    if private.public_data != public.public_data:
        raise KeyInvalid("The public and the private key do not belong together.")


def _rounds(text: str) -> int:
    """How often the lock of an OpenSSH private key is turned; 0 where it is not locked that way."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if not lines or "OPENSSH PRIVATE KEY" not in lines[0]:
        return 0
    try:
        octets = base64.b64decode("".join(lines[1:-1]))
        fields, at = [], len(_OPENSSH)
        for _ in range(3):  # cipher, function, its options
            (size,) = struct.unpack_from(">I", octets, at)
            fields.append(octets[at + 4 : at + 4 + size])
            at += 4 + size
        (salt,) = struct.unpack_from(">I", fields[2], 0)
        found: int = struct.unpack_from(">I", fields[2], 4 + salt)[0]
    except (binascii.Error, struct.error, ValueError):
        return 0
    return found
