"""From a host to the addresses that may be connected to (SEC-01, SEC-02)."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from core.outbound.addresses import IPAddress
from core.outbound.errors import Refused
from core.outbound.policy import OutboundPolicy, literal_address, objection_to, own_addresses
from core.outbound.urls import check_host

MAX_ADDRESSES: Final = 16
#: host and port to the addresses of the name, as text; raises OSError when there are none
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]) for answer in answers]


async def resolve_and_check(
    host: str, port: int, policy: OutboundPolicy, *, resolver: Resolver = system_resolver
) -> list[IPAddress]:
    """Resolve ``host`` once and return its addresses, all of them checked, in the resolver's order.

    Raises Refused: ``dns_failed``, or ``destination_refused`` if a single address may not be reached or there are
    more than 16.
    """
    host = check_host(host)
    own = await _own_addresses(port, policy, resolver)
    addresses = await _addresses(host, port, resolver)
    if len(addresses) > MAX_ADDRESSES:
        raise Refused("destination_refused", f"The name {host} has more than {MAX_ADDRESSES} addresses.")
    for address in addresses:
        if objection := objection_to(address, port, policy, own):
            shown = str(address) if str(address) == host else f"{host} ({address})"
            raise Refused("destination_refused", f"The address {shown} port {port} {objection}.")
    return addresses


async def _addresses(host: str, port: int, resolver: Resolver) -> list[IPAddress]:
    literal = literal_address(host)
    if literal is not None:
        return [literal]
    try:
        answers = await resolver(host, port)
        # A zone id names an interface of ours; without it the address is judged as what it is.
        addresses = [ipaddress.ip_address(answer.partition("%")[0]) for answer in answers]
    except (OSError, UnicodeError, ValueError):
        addresses = []
    if not addresses:
        raise Refused("dns_failed", f"The name {host} has no address.")
    return list(dict.fromkeys(addresses))


async def _own_addresses(port: int, policy: OutboundPolicy, resolver: Resolver) -> list[IPAddress]:
    """The addresses of our own endpoints with this port; the name of one is looked up like any other."""
    found: list[IPAddress] = []
    for host, number in policy.denied_endpoints:
        if number != port:
            continue
        if literal_address(host) is not None:
            found += own_addresses(host)
            continue
        try:
            found += await _addresses(host, port, resolver)
        except Refused:
            continue  # a name without an address leads nowhere
    return found
