"""The only way out over HTTP(S), and the only judge of destinations (SEC-01 to SEC-06).

A name is resolved once for an attempt, every address of the answer is checked, the connection goes to a checked address
while Host, SNI and certificate stay those of the name. Environment proxies and netrc are not looked at.
"""

from core.outbound.addresses import is_public
from core.outbound.client import Outbound, shared_outbound
from core.outbound.errors import BadAnswer, NoAnswer, Refused
from core.outbound.policy import OutboundPolicy
from core.outbound.request import OutboundRequest, OutboundResponse
from core.outbound.resolving import Resolver, resolve_and_check
from core.outbound.urls import Destination, read_destination

__all__ = [
    "BadAnswer",
    "Destination",
    "NoAnswer",
    "Outbound",
    "OutboundPolicy",
    "OutboundRequest",
    "OutboundResponse",
    "Refused",
    "Resolver",
    "is_public",
    "read_destination",
    "resolve_and_check",
    "shared_outbound",
]
