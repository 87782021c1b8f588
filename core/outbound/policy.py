"""Where a call may go: what a deployment and a connection allow beyond public addresses (SEC-01)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.outbound.addresses import IPAddress, Reach, reach_of, without_wrapping

Endpoint = tuple[str, int]


@dataclass(frozen=True)
class OutboundPolicy:
    """``allow_networks`` of the connection and ``deployment_networks`` are CIDRs; an address that is not public needs
    both. ``denied_endpoints`` are our own PostgreSQL, Redis and API: pairs of host (name or address) and port; an
    unspecified host stands for every address of this machine. ``exact_endpoints``: pairs of address and port that are
    allowed although no list holds them. ``allow_http``: plain HTTP may be spoken. ``ca``: PEM text of the certificate
    authorities to trust in place of the usual ones. ``insecure_tls``: certificates are not verified; whoever sets it
    has checked the right and the deployment's flag (SEC-06).
    """

    allow_networks: tuple[str, ...] = ()
    deployment_networks: tuple[str, ...] = ()
    denied_endpoints: tuple[Endpoint, ...] = ()
    exact_endpoints: tuple[Endpoint, ...] = ()
    allow_http: bool = False
    ca: str | None = None
    insecure_tls: bool = False


def objection_to(address: IPAddress, port: int, policy: OutboundPolicy, own: Iterable[IPAddress]) -> str:
    """Return why ``address`` may not be reached, or "". ``own``: addresses of denied endpoints with this port."""
    judged = without_wrapping(address)
    reach = reach_of(address)
    if reach is Reach.NOBODY:
        return "is of a range that is never called"
    if any(_is_same(judged, without_wrapping(other)) for other in own):
        return "is one of our own services"
    if reach is Reach.PUBLIC or any(
        number == port and _address(host) == judged for host, number in policy.exact_endpoints
    ):
        return ""
    if not _is_listed(judged, policy.deployment_networks):
        return "is not public, and the deployment does not list it (ALLOW_NETWORKS)"
    if not _is_listed(judged, policy.allow_networks):
        return "is not public, and the connection does not list it"
    return ""


def literal_address(host: str) -> IPAddress | None:
    """Return the address that ``host`` spells, or None for a name."""
    return _address(host.removeprefix("[").removesuffix("]"))


def own_addresses(host: str) -> Sequence[IPAddress]:
    """Return the addresses that a denied endpoint's literal or unspecified host stands for."""
    address = literal_address(host)
    if address is None:
        return ()
    if not address.is_unspecified:
        return (address,)
    return (*map(ipaddress.ip_address, ("127.0.0.1", "::1")), *_addresses_of_this_machine())


def _addresses_of_this_machine() -> list[IPAddress]:
    try:
        answers = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers]


def _is_same(address: IPAddress, own: IPAddress) -> bool:
    # Every loopback address leads to what listens on one of them, or may.
    return address == own or (address.is_loopback and own.is_loopback)


def _is_listed(address: IPAddress, networks: Iterable[str]) -> bool:
    for text in networks:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue  # an entry that cannot be read allows nothing
        if network.version == address.version and address in network:
            return True
    return False


def _address(text: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
