"""A broker for all tests, a bridge for each. Imports stand inside: conftest files are read before Django is set up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from tests.api.soarca.calls import Api
    from tests.connectors.fin.broker import MqttFin


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    from tests.connectors.fin.broker import mosquitto

    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as port:
        yield port


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    from tests.api.soarca.calls import make_tenant

    return make_tenant()


@pytest.fixture
def api(tenant: Tenant) -> Api:
    from tests.api.soarca.calls import make_caller

    return make_caller(tenant)


@pytest.fixture
def bridged(tenant: Tenant, broker: int, settings: Any) -> Iterator[int]:
    """A bridge that runs for the tenant; the value is the broker's port."""
    from tests.connectors.fin.broker import bridge

    settings.MQTT_BROKER, settings.MQTT_PORT = "127.0.0.1", broker
    with bridge(tenant.pk, broker):
        yield broker


@pytest.fixture
def make_fin(bridged: int) -> Iterator[Callable[..., MqttFin]]:
    """Return a function that registers a fin: ``make_fin("capability", ...)``."""
    from tests.connectors.fin.broker import MqttFin

    made: list[MqttFin] = []

    def make(*capabilities: str, name: str = "") -> MqttFin:
        fin = MqttFin(bridged, name or f"fin-{uuid4()}")
        made.append(fin)
        if capabilities:
            fin.expect("ack", fin.register(*capabilities), topic=fin.name)
        return fin

    yield make
    for fin in made:
        fin.close()
