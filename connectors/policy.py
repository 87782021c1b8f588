"""What the deployment and a connection allow a call to reach (SEC-01)."""

from __future__ import annotations

from django.conf import settings

from connectors.base import Endpoint
from core.outbound import OutboundPolicy


def policy_for(endpoint: Endpoint) -> OutboundPolicy:
    """Return the policy of one call: the endpoint's networks inside the deployment's, never our own endpoints.

    The demonstration target of `up` is allowed by its exact address and port (ruling 19).
    """
    demo = settings.SALLYPORT_DEMO_ENDPOINT
    return OutboundPolicy(
        allow_networks=endpoint.allow_networks,
        deployment_networks=tuple(settings.SALLYPORT_ALLOW_NETWORKS),
        denied_endpoints=tuple((host, port) for host, port in settings.SALLYPORT_DENIED_ENDPOINTS),
        exact_endpoints=(_host_and_port(demo),) if demo else (),
        allow_http=endpoint.url.lower().startswith("http:"),
        ca=endpoint.settings.get("ca"),
    )


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
