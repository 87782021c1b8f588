"""Workers with --pool=prefork: the parent beats for its children, and they renew and announce by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import UUID

import pytest
from channels.layers import get_channel_layer

from accounts.models import Tenant
from executions.events import execution_group
from executions.models import Attempt, Node
from tests.connectors.servers import Reply, Server, ledger
from tests.factories import ConnectionFactory
from tests.faults.fleet import fleet, wait_until_ended
from tests.faults.test_drain import reading
from tests.faults.test_kill import wait_for
from tests.flows.starting import Start

#: of the call, an octet every 50 ms: two leases and a half
SLOW = Reply(body=b"x" * 100, headers={"Content-Type": "text/plain"}, manner="drip")


@pytest.fixture
def effects(tenant: Tenant) -> Iterator[Server]:
    with ledger() as server:
        ConnectionFactory(tenant=tenant, name="ledger", url=server.url, keyed=True)
        yield server


@pytest.mark.slow
def test_a_child_renews_its_lease_announces_what_it_did_and_is_named_by_its_parent(
    start: Start, effects: Server
) -> None:
    effects.answers.append(SLOW)
    with fleet(workers=1, lease="2", pool="prefork") as processes:
        [child] = processes.children("workers")
        assert child.process is not None
        node = Node.objects.get(role="work")
        assert (node.pid, node.slots) == (child.process.pid, 4)
        execution = start(reading())
        wait_for(effects, 1)
        assert asyncio.run(_heard_of(execution.pk)) == str(execution.pk)
        wait_until_ended([execution], within=30)

    attempt = Attempt.objects.get(step_run__execution=execution, step_run__step_id="get")
    assert (attempt.number, attempt.outcome) == (1, "completed")
    assert attempt.worker.split(":")[-2] == str(node.pid)
    assert attempt.worker.split(":")[-1] != str(node.pid)


async def _heard_of(execution: UUID) -> str:
    """The next announcement of the execution, which only its worker makes: the call is out."""
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(execution_group(execution), channel)
    message = await asyncio.wait_for(layer.receive(channel), 30)
    return str(message["execution"])
