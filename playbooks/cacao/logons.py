"""Reads authentication information, and takes the literal secrets out of it.

Source: CACAO.md 8 (D33); SECURITY.md SEC-17.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from playbooks.cacao import references, shapes, vocabularies
from playbooks.cacao.findings import below
from playbooks.cacao.inspection import inspect
from playbooks.cacao.keys import check_key, read_type
from playbooks.cacao.names import Names
from playbooks.cacao.reading import Json, Reading

#: properties of authentication information that are no secret, whatever its type
_PUBLIC: Final = frozenset(
    "type name description user_id username oauth_header kms kms_key_identifier authentication_info_extensions".split()
)


def read_authentication(
    document: Json, names: Names, odd_keys: set[str], reading: Reading
) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
    """Return the definitions without their literal secrets, and JSON Pointer -> literal secret."""
    found: dict[str, Mapping[str, Any]] = {}
    secrets: dict[str, str] = {}
    for key, given in reading.dictionary(document, "authentication_info_definitions", "").items():
        at = below("/authentication_info_definitions", key)
        check_key(key, at, odd_keys, reading)
        _check_authentication(key, given, at, reading)
        found[key] = _without_secrets(given, at, names, secrets)
    return found, secrets


def _check_authentication(key: str, given: Json, at: str, reading: Reading) -> None:
    report = reading.report
    kind = read_type(given, key, "authentication_info_definitions", at, reading)
    if kind not in vocabularies.AUTHENTICATION_TYPES:
        message = f"`{kind[:100]}` is no type of authentication that CACAO knows."
        report.warn("auth-type-unknown", below(at, "type"), message)
    inspect(given, shapes.AUTHENTICATION.get(kind), at, report)
    for name in ("user_id", "username", "password", "token", "oauth_header", "private_key", "kms_key_identifier"):
        reading.text(given, name, at)
    if kind == "oauth2":
        for name in ("oauth_header", "token"):
            if given.get(name) is None:
                report.relax("schema", below(at, name), f"Authentication by oauth2 gives `{name}`.", "as absent")
    if reading.flag(given, "kms", at):
        for name in given.keys() - _PUBLIC:
            message = f"With `kms` the secret comes from the store under kms_key_identifier; leave `{name}` out."
            report.warn("kms-secret-ignored", below(at, name), message, "ignored")


def _without_secrets(given: Json, at: str, names: Names, secrets: dict[str, str]) -> dict[str, Any]:
    """Return what may be stored in the clear, and put the literal secrets into ``secrets``.

    A property that no type has is taken for a secret. Text that holds a reference is a template, not a secret.
    """
    public: dict[str, Any] = {}
    for name, value in given.items():
        if name == "authentication_info_extensions":
            continue
        is_template = isinstance(value, str) and bool(references.names_in(value, names.irregular))
        if name in _PUBLIC or is_template:
            public[name] = value
        else:
            _gather(value, below(at, name), secrets)
    return public


def _gather(value: Any, at: str, secrets: dict[str, str]) -> None:
    pending = [(value, at)]
    while pending:
        item, place = pending.pop()
        if isinstance(item, str) and item:
            secrets[place] = item
        elif isinstance(item, dict):
            pending.extend((member, below(place, name)) for name, member in item.items())
        elif isinstance(item, list):
            pending.extend((member, below(place, index)) for index, member in enumerate(item))
        elif isinstance(item, int | float) and not isinstance(item, bool):
            secrets[place] = str(item)
