"""Two tenants with callers of several roles, the fixtures of the acceptance cases, and stand-ins for Slack and Jira.

Imports stand inside: conftest files are read before Django is set up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from executions.models import Execution
    from tests.api.s4e.calls import Api
    from tests.api.s4e.held import Held
    from tests.connectors.servers import Server

MAIN = "pb-critical-vuln-response"


@pytest.fixture
def tenant(db: None) -> Tenant:
    return _tenant()


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    return _tenant()


def _tenant() -> Tenant:
    from django.utils import timezone

    from accounts.services import create_tenant

    slug = f"t-{uuid4().hex[:8]}"
    return create_tenant(slug=slug, name=slug, now=timezone.now(), rate_tier="enterprise")


@pytest.fixture
def caller() -> Callable[..., Api]:
    """Return a function that makes a caller of a tenant with a role."""

    def make(tenant: Tenant, role: str = "admin") -> Api:
        from django.utils import timezone

        from accounts.services import create_user, issue_api_key
        from tests.api.s4e.calls import Api

        now = timezone.now()
        owner = create_user(
            tenant=tenant, email=f"{role}-{uuid4().hex[:6]}@example.org", password=None, role=role, now=now
        )
        _, key = issue_api_key(tenant=tenant, owner=owner, name=f"key of {role}", now=now)
        return Api(key)

    return make


@pytest.fixture
def api(tenant: Tenant, caller: Callable[..., Api]) -> Api:
    return caller(tenant)


@pytest.fixture
def viewer(tenant: Tenant, caller: Callable[..., Api]) -> Api:
    return caller(tenant, "viewer")


@pytest.fixture
def stranger(other_tenant: Tenant, caller: Callable[..., Api]) -> Api:
    """A caller of another tenant."""
    return caller(other_tenant)


@pytest.fixture
def main(tenant: Tenant) -> str:
    """The shipped playbook of the acceptance cases, and the asset."""
    from django.utils import timezone

    from api.s4e.dialect import storing
    from config.samples import ASSETS, DIRECTORY
    from core.actors import SYSTEM
    from playbooks.services import put_asset

    octets = (DIRECTORY / "critical-vuln-response.json").read_bytes()
    storing.store(tenant=tenant, octets=octets, actor=SYSTEM, now=timezone.now(), keeps_id=True)
    put_asset(tenant=tenant, reference="a-1001", data=ASSETS["a-1001"])
    return MAIN


@pytest.fixture
def eight(main: str, api: Api) -> str:
    """The shipped playbook and seven more."""
    for number in range(7):
        api.made(name=f"Playbook {number}", description=f"Number {number}.", tags=["other"])
    return main


@pytest.fixture
def slack(tenant: Tenant, settings: Any) -> Iterator[Server]:
    from tests.connectors import servers

    token = "xoxb-stand-in-token"
    with servers.slack(token) as server:
        _connect(tenant, settings, "slack", f"{server.url}/api", token)
        yield server


@pytest.fixture
def jira(tenant: Tenant, settings: Any) -> Iterator[Server]:
    from tests.connectors import servers

    token = "stand-in-token-of-jira"
    with servers.jira(f"Bearer {token}") as server:
        _connect(tenant, settings, "jira", server.url, token)
        yield server


@pytest.fixture
def held(tenant: Tenant, settings: Any) -> Iterator[Held]:
    from tests.api.s4e.held import Held
    from tests.connectors.servers import serving

    far_side = Held()
    with serving(far_side.answer) as server:
        _connect(tenant, settings, "http", server.url, "token-of-the-held", name="held")
        yield far_side
        far_side.may_go.set()


def _connect(tenant: Tenant, settings: Any, kind: str, url: str, token: str, *, name: str = "") -> None:
    from django.utils import timezone

    from connectors.services import save_connection

    settings.SALLYPORT_ALLOW_NETWORKS = ["127.0.0.0/8"]
    save_connection(tenant=tenant, kind=kind, name=name or kind, url=url, secrets={"token": token}, now=timezone.now())


@pytest.fixture
def finish(tenant: Tenant, run_to_end: Callable[..., Execution]) -> Callable[[str], Execution]:
    """Return a function that drives the execution of that public id until it is final or waits for somebody."""

    def go(execution: str) -> Execution:
        from executions.selectors import get_execution

        return run_to_end(get_execution(tenant, number=int(execution.removeprefix("pexec-"))))

    return go
