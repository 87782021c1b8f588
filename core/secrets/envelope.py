"""Secrets at rest: each value under a data key of its own, each data key wrapped by a master key (SEC-17, SEC-18).

A record is text of five fields joined by colons: format, key id, wrapped data key, nonce, ciphertext; the last three
in base64url without padding. Both encryptions are AES-256-GCM and bound to the place the record belongs to, so that a
record copied into another row, field or tenant does not open.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import Conflict, Unavailable
from core.secrets.value import Secret

FORMAT: Final = "sp1"
KEY_LENGTH: Final = 32
NONCE_LENGTH: Final = 12
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class SecretUnreadable(Conflict):
    """A stored record does not open where it stands: moved, changed, or of an unknown format."""

    code = "secret_unreadable"


class MasterKeyMissing(Unavailable):
    """The key ring lacks the master key that a stored record was wrapped with."""

    code = "master_key_missing"


@dataclass(frozen=True)
class SecretContext:
    """The one place where a record opens. ``row`` is the id of the owning row, ``field`` a name inside it."""

    tenant: str
    table: str
    row: str
    field: str


@dataclass(frozen=True)
class Keyring:
    """Master keys of 32 octets by id. New records use the primary; the others still open older ones.

    Raises ValueError if the primary is missing, a key has another length, or an id holds odd characters.
    """

    primary_id: str
    keys: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.primary_id not in self.keys:
            raise ValueError(f"The primary master key {self.primary_id!r} is not among the keys.")
        for key_id, key in self.keys.items():
            if not _KEY_ID.fullmatch(key_id):
                raise ValueError(f"The master key id {key_id!r} may hold letters, digits, '_', '.' and '-' only.")
            if len(key) != KEY_LENGTH:
                raise ValueError(f"The master key {key_id!r} has {len(key)} octets; {KEY_LENGTH} are needed.")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A key ring is not pickled.")


def seal(value: str, *, context: SecretContext, keyring: Keyring) -> str:
    """Encrypt ``value`` for its place, under a fresh data key wrapped by the primary master key."""
    data_key = AESGCM.generate_key(bit_length=KEY_LENGTH * 8)
    nonce = os.urandom(NONCE_LENGTH)
    ciphertext = AESGCM(data_key).encrypt(nonce, value.encode("utf-8", "surrogatepass"), _bound_to(context))
    return _Record(
        key_id=keyring.primary_id,
        wrapped_key=_wrap(data_key, context=context, keyring=keyring),
        nonce=nonce,
        ciphertext=ciphertext,
    ).text()


def open_sealed(record: str, *, context: SecretContext, keyring: Keyring) -> Secret:
    """Decrypt a record where it stands.

    Raises SecretUnreadable if it was sealed for another place, changed, or is no record; MasterKeyMissing.
    """
    parsed = _parse(record, context)
    data_key = _unwrap(parsed, context=context, keyring=keyring)
    try:
        octets = AESGCM(data_key).decrypt(parsed.nonce, parsed.ciphertext, _bound_to(context))
    except InvalidTag:
        raise _unreadable(context) from None
    return Secret(octets.decode("utf-8", "surrogatepass"))


def rewrap(record: str, *, context: SecretContext, keyring: Keyring) -> str:
    """Return the record with its data key wrapped by the primary master key; the value itself is not decrypted.

    A record under the primary key already is returned as it is. Raises as ``open_sealed``.
    """
    parsed = _parse(record, context)
    if parsed.key_id == keyring.primary_id:
        return record
    data_key = _unwrap(parsed, context=context, keyring=keyring)
    return _Record(
        key_id=keyring.primary_id,
        wrapped_key=_wrap(data_key, context=context, keyring=keyring),
        nonce=parsed.nonce,
        ciphertext=parsed.ciphertext,
    ).text()


def key_id_of(record: str) -> str:
    """Return the id of the master key that the record needs. Raises SecretUnreadable if it is no record."""
    return _parse(record, None).key_id


@dataclass(frozen=True)
class _Record:
    key_id: str
    wrapped_key: bytes  # nonce, then ciphertext
    nonce: bytes
    ciphertext: bytes

    def text(self) -> str:
        fields = (self.wrapped_key, self.nonce, self.ciphertext)
        return ":".join((FORMAT, self.key_id, *(_to_text(octets) for octets in fields)))


def _parse(record: str, context: SecretContext | None) -> _Record:
    fields = record.split(":")
    if len(fields) != 5 or fields[0] != FORMAT or not _KEY_ID.fullmatch(fields[1]):
        raise _unreadable(context)
    try:
        wrapped_key, nonce, ciphertext = (_from_text(text) for text in fields[2:])
    except (binascii.Error, ValueError):
        raise _unreadable(context) from None
    if len(nonce) != NONCE_LENGTH or len(wrapped_key) <= NONCE_LENGTH:
        raise _unreadable(context)
    return _Record(key_id=fields[1], wrapped_key=wrapped_key, nonce=nonce, ciphertext=ciphertext)


def _wrap(data_key: bytes, *, context: SecretContext, keyring: Keyring) -> bytes:
    nonce = os.urandom(NONCE_LENGTH)
    master = AESGCM(keyring.keys[keyring.primary_id])
    return nonce + master.encrypt(nonce, data_key, _bound_to(context, keyring.primary_id))


def _unwrap(record: _Record, *, context: SecretContext, keyring: Keyring) -> bytes:
    key = keyring.keys.get(record.key_id)
    if key is None:
        raise MasterKeyMissing(f"The master key {record.key_id!r} is needed to read stored secrets.")
    nonce, wrapped = record.wrapped_key[:NONCE_LENGTH], record.wrapped_key[NONCE_LENGTH:]
    try:
        return AESGCM(key).decrypt(nonce, wrapped, _bound_to(context, record.key_id))
    except InvalidTag:
        raise _unreadable(context) from None


def _bound_to(context: SecretContext, *more: str) -> bytes:
    """Associated data: a JSON list, so that no two places share their text."""
    return json.dumps([FORMAT, context.tenant, context.table, context.row, context.field, *more]).encode("ascii")


def _unreadable(context: SecretContext | None) -> SecretUnreadable:
    where = f" {context.table}.{context.field} of row {context.row}" if context else ""
    return SecretUnreadable(f"The stored secret{where} does not open here: it was moved, changed or cut.")


def _to_text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")


def _from_text(text: str) -> bytes:
    octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _to_text(octets) != text:
        raise ValueError("not the one spelling of these octets")
    return octets
