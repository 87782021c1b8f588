"""Reads agents, targets and authentication information.

Source: CACAO.md 7, 8 (D3, D33, D34) and the ``address-...``, ``category-missing``, ``contact-format`` codes of 13.3.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from playbooks.cacao import references, shapes, vocabularies
from playbooks.cacao.findings import below, pointer
from playbooks.cacao.identifiers import is_identifier
from playbooks.cacao.inspection import check_word, check_words, inspect
from playbooks.cacao.names import Names, note_names, texts_in
from playbooks.cacao.reading import Json, Reading
from playbooks.cacao.schema import address_patterns, contradicts_key
from playbooks.cacao.types import AgentTarget

#: properties of authentication information that are no secret, whatever its type
_PUBLIC: Final = frozenset(
    "type name description user_id username oauth_header kms kms_key_identifier authentication_info_extensions".split()
)
#: properties in which references are plain text (12.11)
_NOT_REPLACED: Final = frozenset(
    "type name description location agent_target_extensions authentication_info_extensions".split()
)
#: an address that a mail server could take; what is left of the @ is not judged further
_EMAIL: Final = re.compile(r"[^\s@,;`<>()\"]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


@dataclass(frozen=True)
class Definitions:
    """What the steps refer to. ``secrets``: JSON Pointer -> literal secret, kept out of ``authentication``."""

    agents: Mapping[str, AgentTarget] = field(default_factory=dict)
    targets: Mapping[str, AgentTarget] = field(default_factory=dict)
    authentication: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    #: keys that are no identifiers
    odd_keys: frozenset[str] = frozenset()
    #: id -> names that the agent's or target's properties and log-on refer to
    agent_reads: Mapping[str, Collection[str]] = field(default_factory=dict)
    target_reads: Mapping[str, Collection[str]] = field(default_factory=dict)


def read_definitions(document: Json, names: Names, reading: Reading) -> Definitions:
    """Read the three dictionaries. ``names``: those that the document declares."""
    odd_keys: set[str] = set()
    authentication, secrets = _read_authentication(document, names, odd_keys, reading)
    agents = _read_agents(document, "agent_definitions", names, odd_keys, reading)
    targets = _read_agents(document, "target_definitions", names, odd_keys, reading)
    return Definitions(
        agents=agents,
        targets=targets,
        authentication=authentication,
        secrets=secrets,
        odd_keys=frozenset(odd_keys),
        agent_reads=_reads("agent_definitions", agents, authentication, names, reading),
        target_reads=_reads("target_definitions", targets, authentication, names, reading),
    )


def _reads(
    dictionary: str,
    agents: Mapping[str, AgentTarget],
    authentication: Mapping[str, Mapping[str, Any]],
    names: Names,
    reading: Reading,
) -> dict[str, Collection[str]]:
    found: dict[str, Collection[str]] = {}
    for key, agent in agents.items():
        reads: dict[str, str] = {}
        used = {name: value for name, value in agent.properties.items() if name not in _NOT_REPLACED}
        note_names(texts_in(used), pointer(dictionary, key), names, reads, reading.report)
        if agent.authentication is not None:
            given = authentication.get(agent.authentication, {})
            told = {name: value for name, value in given.items() if name not in _NOT_REPLACED}
            at = pointer("authentication_info_definitions", agent.authentication)
            note_names(texts_in(told), at, names, reads, reading.report)
        found[key] = tuple(reads)
    return found


def check_key(key: str, at: str, odd_keys: set[str], reading: Reading) -> None:
    """Report a dictionary's key that is no identifier."""
    if not is_identifier(key):
        odd_keys.add(key)
        message = f"The key `{key[:100]}` is no identifier; `type--UUID` is needed, the UUID of version 1 to 5."
        reading.report.relax("identifier-format", at, message, "used as opaque text")


def _read_type(given: Json, key: str, dictionary: str, at: str, reading: Reading) -> str:
    kind = reading.text(given, "type", at)
    if given.get("type") is None:
        reading.report.relax("schema", below(at, "type"), "A definition needs a `type`.", "an unknown type")
    if kind is not None and contradicts_key(kind, key, dictionary):
        message = f"The type is `{kind[:100]}`, but the key begins with another type's name."
        reading.report.relax("identifier-prefix", at, message, "the type counts")
    return kind or ""


# -- agents and targets


def _read_agents(
    document: Json, dictionary: str, names: Names, odd_keys: set[str], reading: Reading
) -> dict[str, AgentTarget]:
    found: dict[str, AgentTarget] = {}
    for key, given in reading.dictionary(document, dictionary, "").items():
        at = below("", dictionary, key)
        check_key(key, at, odd_keys, reading)
        found[key] = _read_agent(key, given, dictionary, at, names, reading)
    known = document.get("authentication_info_definitions")
    for key, agent in found.items():
        if agent.authentication is not None and agent.authentication not in (known if isinstance(known, dict) else {}):
            message = f"`{agent.authentication[:100]}` is not in authentication_info_definitions; define it there."
            reading.report.refuse("auth-unresolved", below("", dictionary, key, "authentication_info"), message)
    return found


def _read_agent(key: str, given: Json, dictionary: str, at: str, names: Names, reading: Reading) -> AgentTarget:
    report = reading.report
    kind = _read_type(given, key, dictionary, at, reading)
    if kind not in vocabularies.AGENT_TYPES:
        what = "agent" if dictionary == "agent_definitions" else "target"
        message = f"`{kind[:100]}` is no type of {what} that CACAO knows; it is found by its connection, or its name."
        report.warn(f"{what}-type-unknown", below(at, "type"), message)
    inspect(given, shapes.AGENTS.get(kind), at, report)
    name = reading.text(given, "name", at)
    if given.get("name") is None:
        report.relax("schema", below(at, "name"), "An agent or target needs a `name`.", "shown by its id")
    if kind in vocabularies.MACHINE_TYPES:
        _check_machine(given, at, names, reading)
    elif kind == "security-category" and not given.get("category"):
        message = "A security-category says which, such as `category: [firewall]`."
        report.relax("category-missing", below(at, "category"), message, "kept; the operator binds it to a connection")
    elif kind == "sector" and not given.get("sector"):
        report.relax("schema", below(at, "sector"), "A sector says which, as `sector`.", "kept as it is")
    _check_common(given, at, reading)
    description = given.get("description")
    return AgentTarget(
        id=key,
        type=kind,
        name=name or key,
        description=description if isinstance(description, str) else "",
        properties={name: value for name, value in given.items() if name != "authentication_info"},
        authentication=reading.text(given, "authentication_info", at) or None,
    )


def _check_common(given: Json, at: str, reading: Reading) -> None:
    report = reading.report
    reading.text(given, "port", at)
    check_words(given, "category", vocabularies.SECURITY_CATEGORIES, at, report)
    check_word(given.get("sector"), vocabularies.INDUSTRY_SECTORS, below(at, "sector"), report)
    location = given.get("location")
    if isinstance(location, dict):
        inspect(location, shapes.LOCATION, below(at, "location"), report)
    contact = given.get("contact")
    if isinstance(contact, dict):
        inspect(contact, shapes.CONTACT, below(at, "contact"), report)
        _check_emails(contact, below(at, "contact"), reading)


def _check_emails(contact: Json, at: str, reading: Reading) -> None:
    emails = contact.get("email")
    for kind, email in emails.items() if isinstance(emails, dict) else ():
        if isinstance(email, str) and not _EMAIL.fullmatch(email):
            message = "This is no e-mail address; name@example.org is the form."
            reading.report.relax("contact-format", below(at, "email", kind), message, "not used")


def _check_machine(given: Json, at: str, names: Names, reading: Reading) -> None:
    addresses = reading.members(given, "address", at)
    place = below(at, "address")
    if given.get("address") in (None, {}):
        message = "A machine needs an `address`, such as `address: {url: [https://host/]}`."
        reading.report.relax("address-missing", place, message, "must be bound to a connection")
    inspect(addresses, shapes.ADDRESS, place, reading.report)
    for kind in addresses:
        for index, address in enumerate(reading.items(addresses, kind, place)):
            if kind in shapes.ADDRESS:
                _check_address(kind, address, below(place, kind, index), names, reading)


def _check_address(kind: str, address: object, at: str, names: Names, reading: Reading) -> None:
    if isinstance(address, str) and references.names_in(address, names.irregular):
        return
    if kind == "vlan":
        is_right = isinstance(address, int) and not isinstance(address, bool) and 0 <= address <= 4095
        right = "a number from 0 to 4095"
    elif isinstance(address, str):
        is_right, right = _IS_ADDRESS[kind](address), _RIGHT_ADDRESS[kind]
    else:
        reading.wrong(at, kind, address, "text")
        return
    if not is_right:
        message = f"This is no {kind}; {right} is needed, or a reference to a variable."
        reading.report.relax("address-format", at, message, "checked when it is used")


@cache
def _pattern(kind: str) -> Any:
    return re2.compile(address_patterns()[kind])


def _matches(kind: str) -> Callable[[str], bool]:
    return lambda address: _pattern(kind).search(address) is not None


def _is_ip(kind: str, version: int) -> Callable[[str], bool]:
    def check(address: str) -> bool:
        try:
            return ipaddress.ip_address(address).version == version and _pattern(kind).search(address) is not None
        except ValueError:
            return False

    return check


_IS_ADDRESS: Final[Mapping[str, Callable[[str], bool]]] = {
    "url": _matches("url"),
    "l2mac": _matches("l2mac"),
    "ipv4": _is_ip("ipv4", 4),
    "ipv6": _is_ip("ipv6", 6),
    "dname": bool,  # the schemas and the text leave its form open
}
_RIGHT_ADDRESS: Final[Mapping[str, str]] = {
    "dname": "a domain name",
    "url": "a URL with a domain name, such as https://host.example/path",
    "l2mac": "six octets, such as 00:1b:44:11:3a:b7",
    "ipv4": "an address such as 192.0.2.1",
    "ipv6": "an address such as 2001:db8::1",
}


# -- authentication


def _read_authentication(
    document: Json, names: Names, odd_keys: set[str], reading: Reading
) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
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
    kind = _read_type(given, key, "authentication_info_definitions", at, reading)
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
