"""Where a request comes from, behind proxies that we know."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


def client_address(*, peer: str, forwarded_for: str, proxies: Iterable[str]) -> str:
    """Return the nearest hop that is none of our proxies; ``""`` when the server does not know its peer.

    ``peer`` is the other end of the connection, ``forwarded_for`` the header X-Forwarded-For, ``proxies`` networks.
    What a client writes into the header itself stands to the left of what our proxies append, and is not reached.
    """
    networks = [ip_network(network) for network in proxies]
    nearest = peer
    for hop in (peer, *reversed([hop.strip() for hop in forwarded_for.split(",") if hop.strip()])):
        address = _address(hop)
        if address is None:
            return nearest
        nearest = str(address)
        if not _is_within(address, networks):
            return nearest
    return nearest


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_within(address: IPv4Address | IPv6Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
