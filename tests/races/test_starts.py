"""One execution for one start key, however many ask at once (I16)."""

from __future__ import annotations

from functools import partial

from accounts.models import Tenant
from core.actors import SYSTEM
from executions.models import Execution
from executions.services import StartKeyReused, emit_event, start_execution
from playbooks.models import PlaybookVersion
from tests.engine.test_decide import act, end, flow
from tests.executions.histories import check_history
from tests.factories import NOON
from tests.flows.starting import store_workflow
from tests.races.racing import ROUNDS, racers


def start(version: PlaybookVersion, *, key: str, digest: str = "d") -> Execution:
    return start_execution(
        tenant=version.tenant, version=version, inputs={"variables": {}}, actor=SYSTEM, start_key=key,
        start_digest=digest, now=NOON,
    )  # fmt: skip


def test_fifty_equal_starts_give_one_execution(tenant: Tenant) -> None:
    version = store_workflow(tenant, flow(act("a", on_success="end"), end(), first="a"))
    with racers(50) as threads:
        for number in range(ROUNDS // 10):
            told = threads.all_at_once(partial(start, version, key=f"k{number}"))

            assert len({found.pk for found in told}) == 1
            check_history(told[0])
    assert Execution.objects.count() == ROUNDS // 10


def test_of_two_bodies_with_one_key_one_is_refused(tenant: Tenant) -> None:
    version = store_workflow(tenant, flow(end(), first="end"))
    with racers(2) as threads:
        for number in range(ROUNDS):
            one, other = (partial(start, version, key=f"k{number}", digest=digest) for digest in ("one", "other"))
            told = threads.run([one, other])

            assert sorted(type(found).__name__ for found in told) == [Execution.__name__, StartKeyReused.__name__]


def test_an_event_that_comes_eight_times_at_once_starts_once(tenant: Tenant) -> None:
    version = store_workflow(tenant, flow(end(), first="end"), trigger={"event": "finding.new", "conditions": {}})
    with racers(8) as threads:
        for number in range(ROUNDS // 2):
            event = partial(emit_event, tenant=tenant, event="finding.new", data={"n": number}, now=NOON)
            told = threads.all_at_once(partial(event, event_id=f"e{number}"))

            assert len({found.pk for [found] in told}) == 1
    assert Execution.objects.filter(version=version).count() == ROUNDS // 2
