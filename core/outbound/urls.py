"""URLs of outgoing requests, read strictly: what two readers could understand differently is refused. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from core.outbound.errors import Refused

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
#: RFC 3986, and no percent-encoding, user-info or zone id in the authority
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,254})"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!-~]*)?(?P<query>\?[!-~]*)?"
)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
#: a last label like this makes resolvers read the whole host as an IPv4 address
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


@dataclass(frozen=True)
class Destination:
    """``host`` in lower case, an IPv6 address without brackets; ``target``: path and query as they are sent."""

    scheme: str
    host: str
    port: int
    target: str = "/"

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


def read_destination(url: str, *, allow_http: bool = False) -> Destination:
    """Read an absolute URL. Raises Refused: ``scheme_refused``, or ``destination_refused`` for anything unclear."""
    if "#" in url or "\\" in url:
        raise Refused("destination_refused", "The URL holds a fragment or a backslash.")
    scheme = url.partition(":")[0].lower()
    if scheme not in _DEFAULT_PORTS or (scheme == "http" and not allow_http):
        allowed = "http and https" if allow_http else "https"
        raise Refused("scheme_refused", f"The URL must be of the scheme {allowed}.")
    match = _URL.fullmatch(url)
    if match is None:
        raise Refused("destination_refused", "The URL cannot be read without doubt.")
    port = int(match["port"]) if match["port"] is not None else _DEFAULT_PORTS[scheme]
    if not 1 <= port <= 65_535:
        raise Refused("destination_refused", "The port must be from 1 to 65535.")
    target = (match["path"] or "/") + (match["query"] or "")
    return Destination(scheme, check_host(match["host"]), port, target)


def check_host(host: str) -> str:
    """Return the host in lower case: an address in its usual spelling, or a name. Raises Refused."""
    if host.startswith("["):
        host = host[1:-1]
    if ":" in host:
        return _address_text(host)
    if _NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return _address_text(host)
    labels = host.removesuffix(".").split(".")
    if len(host) > 254 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused("destination_refused", "The host is no name that can be looked up.")
    return host.lower()


def _address_text(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise Refused("destination_refused", "The host is an address in an unusual spelling.") from None
    if "%" in host:
        raise Refused("destination_refused", "An address with a zone cannot be called.")
    return str(address)
