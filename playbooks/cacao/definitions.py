"""Reads agents and targets, and brings all definitions together.

Source: CACAO.md 7 (D3, D34) and the ``address-...``, ``category-missing``, ``contact-format`` codes of 13.3.
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
from playbooks.cacao.inspection import check_word, check_words, inspect
from playbooks.cacao.keys import check_key, read_type
from playbooks.cacao.logons import read_authentication
from playbooks.cacao.names import Names, note_names, texts_in
from playbooks.cacao.reading import Json, Reading
from playbooks.cacao.schema import address_patterns
from playbooks.cacao.types import AgentTarget

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
    authentication, secrets = read_authentication(document, names, odd_keys, reading)
    agents = _read_agents(document, "agent_definitions", names, odd_keys, reading)
    targets = _read_agents(document, "target_definitions", names, odd_keys, reading)
    logons = _names_of_logons(authentication, names, reading)
    return Definitions(
        agents=agents,
        targets=targets,
        authentication=authentication,
        secrets=secrets,
        odd_keys=frozenset(odd_keys),
        agent_reads=_names_of_agents("agent_definitions", agents, logons, names, reading),
        target_reads=_names_of_agents("target_definitions", targets, logons, names, reading),
    )


def _names_of_logons(
    authentication: Mapping[str, Mapping[str, Any]], names: Names, reading: Reading
) -> dict[str, Collection[str]]:
    return {
        key: _names_in(given, pointer("authentication_info_definitions", key), names, reading)
        for key, given in authentication.items()
    }


def _names_of_agents(
    dictionary: str,
    agents: Mapping[str, AgentTarget],
    logons: Mapping[str, Collection[str]],
    names: Names,
    reading: Reading,
) -> dict[str, Collection[str]]:
    found: dict[str, Collection[str]] = {}
    for key, agent in agents.items():
        own = _names_in(agent.properties, pointer(dictionary, key), names, reading)
        found[key] = tuple(dict.fromkeys((*own, *logons.get(agent.authentication or "", ()))))
    return found


def _names_in(given: Json, at: str, names: Names, reading: Reading) -> Collection[str]:
    reads: dict[str, str] = {}
    used = {name: value for name, value in given.items() if name not in _NOT_REPLACED}
    note_names(texts_in(used), at, names, reads, reading.report)
    return tuple(reads)


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
    kind = read_type(given, key, dictionary, at, reading)
    if kind not in vocabularies.AGENT_TYPES:
        what = "agent" if dictionary == "agent_definitions" else "target"
        message = f"`{kind[:100]}` is no type of {what} that CACAO knows; it is found by its connection, or its name."
        reading.report.warn(f"{what}-type-unknown", below(at, "type"), message)
    inspect(given, shapes.AGENTS.get(kind), at, reading.report)
    name = reading.text(given, "name", at)
    _check_needed(given, kind, at, reading)
    if kind in vocabularies.MACHINE_TYPES:
        _check_machine(given, at, names, reading)
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


def _check_needed(given: Json, kind: str, at: str, reading: Reading) -> None:
    report = reading.report
    if given.get("name") is None:
        report.relax("schema", below(at, "name"), "An agent or target needs a `name`.", "shown by its id")
    if kind == "security-category" and not given.get("category"):
        message = "A security-category says which, such as `category: [firewall]`."
        report.relax("category-missing", below(at, "category"), message, "kept; the operator binds it to a connection")
    if kind == "sector" and not given.get("sector"):
        report.relax("schema", below(at, "sector"), "A sector says which, as `sector`.", "kept as it is")


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
