"""Classes of IP addresses: which are reached by nobody, which only by permission, which are public (SEC-01). Pure."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


class Reach(StrEnum):
    """Who may reach an address."""

    PUBLIC = "public"
    LISTED = "listed"  # the deployment's list and the connection's list both hold it
    NOBODY = "nobody"


def _networks(*texts: str) -> tuple[IPNetwork, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


#: loopback, private, CGNAT, benchmarking, unique-local
_LISTED: Final = _networks(
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "198.18.0.0/15",
    "::1/128",
    "fc00::/7",
)
_NOBODY: Final = _networks(
    "0.0.0.0/8",  # unspecified, "this network"
    "169.254.0.0/16",  # link-local, and the metadata services of most clouds
    "100.100.100.200/32",  # metadata service of Alibaba Cloud, inside CGNAT
    "168.63.129.16/32",  # platform service of Azure
    "192.0.0.0/24",  # IETF protocol assignments; metadata service of Oracle Cloud
    "192.0.2.0/24",  # documentation
    "198.51.100.0/24",
    "203.0.113.0/24",
    "192.88.99.0/24",  # 6to4 relays
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, broadcast
    "fd00:ec2::/32",  # metadata service of AWS, inside unique-local
    "fd20:ce::/32",  # metadata service of Google Cloud
    "2001::/23",  # IETF protocol assignments; Teredo is judged by what it holds
    "2001:db8::/32",  # documentation
    "3fff::/20",
)
#: all of IPv6 that is routed in public
_GLOBAL_IPV6: Final = IPv6Network("2000::/3")
_COMPATIBLE: Final = IPv6Network("::/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")


def reach_of(address: IPAddress) -> Reach:
    """Return who may reach ``address``; an IPv6 address that holds an IPv4 address is judged as that."""
    address = without_wrapping(address)
    if _is_in(address, _NOBODY):
        return Reach.NOBODY
    if _is_in(address, _LISTED):
        return Reach.LISTED
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
        return Reach.NOBODY
    return Reach.PUBLIC


def is_public(address: IPAddress | str) -> bool:
    """Whether an address may be reached without being on any list. Raises ValueError for text that is no address."""
    return reach_of(ipaddress.ip_address(address) if isinstance(address, str) else address) is Reach.PUBLIC


def without_wrapping(address: IPAddress) -> IPAddress:
    """Return the IPv4 address inside a mapped, compatible, NAT64, 6to4 or Teredo address; others as they are."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    # A zone id is no part of where the address is.
    return IPv6Address(int(address))


def _is_in(address: IPAddress, networks: tuple[IPNetwork, ...]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
