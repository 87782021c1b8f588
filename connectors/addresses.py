"""The addresses of agents and targets (CACAO.md, D34), and when two addresses are the same place. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from core.errors import Invalid

#: dbt://tenant/project is a place on this machine; its port means nothing
DEFAULT_PORTS = {"http": 80, "https": 443, "ssh": 22, "dbt": 1}
SCHEMES = {"ssh": frozenset({"ssh"}), "dbt": frozenset({"dbt"})}
#: kinds of addresses in the order in which they are taken
_KINDS = ("url", "dname", "ipv4", "ipv6")
_NAME = re.compile(r"(?=.{1,253}\.?$)[^\W_]([\w-]{0,62})(\.[\w][\w-]{0,62})*\.?")


class AddressInvalid(Invalid):
    """An address that cannot be called. The message names what is wrong with it."""

    code = "no_target"


@dataclass(frozen=True)
class Address:
    """A place to call. ``host`` in small letters, without brackets and final dot; ``path`` "" or with a slash."""

    scheme: str
    host: str
    port: int
    path: str = ""
    query: str = ""
    is_bare: bool = False  # only a host was given; scheme and port are defaults

    @property
    def place(self) -> tuple[str, str, int]:
        """What decides whether two addresses are the same place (ruling 23)."""
        return self.scheme, self.host, self.port

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if DEFAULT_PORTS.get(self.scheme) == self.port else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}{'?' if self.query else ''}{self.query}"

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host as an address, None for a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    def is_among(self, hosts: tuple[str, ...]) -> bool:
        """Whether the host is on a list of names and CIDRs (SEC-04). A name never matches a CIDR."""
        address = self.ip
        for entry in hosts:
            if entry.lower().rstrip(".") == self.host:
                return True
            network = _network(entry)
            if address is not None and network is not None and address in network:
                return True
        return False


def read_url(url: str, *, kind: str) -> Address:
    """Read the address of a connection or target for a connector of ``kind`` (``ssh``, ``dbt``, or else HTTP).

    Raises AddressInvalid for another scheme, user-info, a missing host, a port that is none, a fragment.
    """
    schemes = SCHEMES.get(kind, frozenset({"http", "https"}))
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise AddressInvalid("The address holds a space, a control character or a backslash.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressInvalid("The address is no URL.") from None
    if parts.scheme.lower() not in schemes:
        raise AddressInvalid(f"The address must begin with {' or '.join(sorted(f'{name}://' for name in schemes))}.")
    if parts.username is not None or parts.password is not None:
        raise AddressInvalid("The address may not hold a user name or password.")
    if parts.fragment:
        raise AddressInvalid("The address may not hold a fragment.")
    scheme = parts.scheme.lower()
    return Address(
        scheme=scheme,
        host=_host(parts.hostname or ""),
        port=_port(port if port is not None else DEFAULT_PORTS[scheme]),
        path=parts.path,
        query=parts.query,
    )


def addresses_of(properties: Mapping[str, Any], *, kind: str) -> tuple[Address, ...]:
    """Return the addresses of the first kind present, first one first; empty when there is none.

    ``properties`` are those of a CACAO agent or target, references already replaced. Raises AddressInvalid.
    """
    given = properties.get("address")
    if not isinstance(given, Mapping):
        return ()
    port = _text_port(properties.get("port"))
    for name in _KINDS:
        texts = [text for text in _listed(given.get(name)) if isinstance(text, str) and text.strip()]
        if texts:
            return tuple(_address(name, text.strip(), port, kind) for text in texts)
    return ()


def _address(name: str, text: str, port: int | None, kind: str) -> Address:
    if name == "url":
        address = read_url(text, kind=kind)
        has_port = urlsplit(text).port is not None
        return address if has_port or port is None else Address(*address.place[:2], port, address.path, address.query)
    if name == "dname":
        host = _host(text)
    else:
        host = _literal(text, version=4 if name == "ipv4" else 6)
    if kind == "ssh":
        return Address("ssh", host, port or DEFAULT_PORTS["ssh"], is_bare=port is None)
    number = port or DEFAULT_PORTS["http"]
    return Address("http" if number in (80, 8080) else "https", host, number, is_bare=port is None)


def _host(text: str) -> str:
    host = text.lower().rstrip(".")
    try:
        return str(ipaddress.ip_address("" if "%" in host else host))
    except ValueError:
        pass  # a name, or an address with a zone, which is refused below
    if not _NAME.fullmatch(host):
        raise AddressInvalid("The address has no host name that can be called.")
    return host


def _literal(text: str, *, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise AddressInvalid(f"The address is no IPv{version} address.") from None
    if address.version != version or "%" in text:
        raise AddressInvalid(f"The address is no IPv{version} address without a zone.")
    return str(address)


def _port(number: int) -> int:
    if not 1 <= number <= 65535:
        raise AddressInvalid("A port is a number from 1 to 65535.")
    return number


def _text_port(value: Any) -> int | None:
    if value is None or value == "":
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", text):
        raise AddressInvalid("A port is a number from 1 to 65535.")
    return _port(int(text))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
