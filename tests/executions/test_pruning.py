"""Retention: what ended long enough ago goes with all that belongs to it, and nothing else does."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from accounts.models import Tenant
from executions.delivering import TRIES
from executions.models import Execution, OutboxMessage, Review, WebhookTarget
from executions.services import pause_execution, pruning, run_again
from executions.services.pruning import Pruner, list_tenants_with_policy, prune
from executions.tasks import run_from
from playbooks.cacao.types import Workflow
from playbooks.models import PlaybookVersion
from tests.engine.test_decide import act, end, flow
from tests.executions.acting import PERSON, advance, answer, asked, change, claim, run_of, state
from tests.executions.histories import check_history
from tests.executions.test_answering import ask
from tests.executions.test_children import CHILD, begun, calling, child_of
from tests.factories import NOON
from tests.flows.driving import drive
from tests.flows.starting import Start, make_tenant, start_workflow, store_workflow

ONE = flow(act("a", on_success="end"), end(), first="a")
KEEP = 30

# Every column that leads to a row that is deleted, and whether an index begins with it.
REFERENCES = """
SELECT c.conrelid::regclass::text || '.' || a.attname,
       EXISTS (SELECT 1 FROM pg_index i
                WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1] AND i.indpred IS NULL)
  FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
 WHERE c.contype = 'f' AND c.confrelid = ANY(%s::regclass[])
"""
DELETED_FROM = (
    *("executions_execution", "executions_steprun", "executions_scope", "executions_attempt", "executions_event"),
    *("executions_payload", "executions_review", "manual_manualrequest", "manual_vote"),
)


@pytest.fixture
def keeping(tenant: Tenant) -> Tenant:
    """The tenant, which keeps executions for thirty days."""
    Tenant.objects.filter(pk=tenant.pk).update(keep_days=KEEP)
    tenant.refresh_from_db()
    return tenant


def age(execution: Execution, *, days: float = KEEP + 1) -> None:
    """Move an execution back in time, as if it had been made and ended so many days ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE executions_execution SET created_at = clock_timestamp() - %s * interval '1 day',"
            " ended_at = CASE WHEN ended_at IS NULL THEN NULL ELSE clock_timestamp() - %s * interval '1 day' END"
            " WHERE id = %s",
            (days + 0.01, days, execution.pk),
        )


def everything(tenant: Tenant) -> set[UUID]:
    return set(Execution.objects.filter(tenant=tenant).values_list("pk", flat=True))


def pruned(tenant: Tenant, **options: Any) -> dict[str, int]:
    total = pruning.Deleted()
    for step in prune(tenant, **options):
        total += step
    return dict(total)


def rows() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in DELETED_FROM))
        return dict(cursor.fetchall())


def test_what_is_older_than_the_policy_goes_with_all_that_belongs_to_it(
    start: Start, keeping: Tenant, run_to_end: Any
) -> None:
    asking = flow(ask(on_success="a"), act("a", on_success="end"), end(), first="q")
    old = start(asking)
    advance(old, "start")
    answer(asked(old, "q"))
    run_to_end(old)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO executions_payload (tenant_id, execution_id, digest, size, content)"
            " VALUES (%s, %s, 'd', 1, 'x')",
            (keeping.pk, old.pk),
        )
    Review.objects.create(
        tenant=keeping, execution=old, step_run=run_of(old, "a"), status="resolved", why="", opened_at=NOON
    )
    before = rows()
    assert all(before[name] for name in DELETED_FROM if name != "manual_vote"), before
    young = run_to_end(start(ONE, script={}))
    age(old)
    age(young, days=KEEP - 1)

    told = pruned(keeping)

    assert everything(keeping) == {young.pk}
    assert told["executions"] == 1
    assert told["events"] == old.last_seq
    check_history(young)
    after = rows()
    assert after["executions_payload"] == after["executions_review"] == after["manual_manualrequest"] == 0
    assert after["executions_event"] == young.last_seq


def test_a_tenant_without_a_policy_keeps_everything_and_no_tenant_reaches_another(
    start: Start, tenant: Tenant, run_to_end: Any
) -> None:
    other = make_tenant()
    Tenant.objects.filter(pk=other.pk).update(keep_days=1)
    other.refresh_from_db()
    execution = run_to_end(start(ONE, script={}))
    age(execution, days=4000)

    assert pruned(tenant) == {}
    assert pruned(other) == {}
    assert list_tenants_with_policy() == [other]
    assert everything(tenant) == {execution.pk}


def test_what_still_runs_is_kept_however_old_it_is(start: Start, keeping: Tenant) -> None:
    fresh, held, running = (start(ONE) for _ in range(3))
    pause_execution(execution=held, actor=PERSON, now=NOON)
    claim(running, "start")
    for execution in (fresh, held, running):
        age(execution, days=400)

    assert pruned(keeping).get("executions", 0) == 0
    assert len(everything(keeping)) == 3


def test_an_open_review_keeps_an_execution_that_has_ended(start: Start, keeping: Tenant, run_to_end: Any) -> None:
    execution = run_to_end(start(ONE, script={}))
    review = Review.objects.create(
        tenant=keeping, execution=execution, step_run=run_of(execution, "a"), why="", opened_at=NOON
    )
    age(execution)
    assert pruned(keeping).get("executions", 0) == 0

    Review.objects.filter(pk=review.pk).update(status="resolved")
    assert pruned(keeping)["executions"] == 1


@pytest.mark.parametrize(("kind", "days", "goes"), [("trigger", 29, False), ("trigger", 31, True), ("key", 29, True)])
def test_a_start_key_that_still_holds_keeps_its_execution(
    start: Start, keeping: Tenant, run_to_end: Any, kind: str, days: int, goes: bool
) -> None:
    """An event that comes again within thirty days starts nothing: its execution has to be there to say so."""
    Tenant.objects.filter(pk=keeping.pk).update(keep_days=1)
    keeping.refresh_from_db()
    execution = run_to_end(start(ONE, script={}))
    Execution.objects.filter(pk=execution.pk).update(start_key="k", actor={"kind": kind, "id": "", "name": ""})
    age(execution, days=days)

    assert bool(pruned(keeping).get("executions")) is goes


def test_a_child_stays_until_its_parent_goes_and_they_go_together(
    start: Start, keeping: Tenant, run_to_end: Any
) -> None:
    parent = begun(start, calling(_stored_child(keeping)), script={})
    child = child_of(parent)
    run_from(run_of(child, "start").pk)
    child.refresh_from_db()
    age(child)
    age(parent)
    assert (child.status, state(parent)[0]) == ("completed", "paused")
    assert pruned(keeping).get("executions", 0) == 0

    run_to_end(parent)
    age(parent, days=KEEP - 1)
    assert pruned(keeping).get("executions", 0) == 0
    age(parent)

    assert pruned(keeping)["executions"] == 2
    assert everything(keeping) == set()


def _stored_child(tenant: Tenant) -> PlaybookVersion:
    return store_workflow(tenant, CHILD)


def test_a_child_with_an_open_review_keeps_its_parent(start: Start, keeping: Tenant, run_to_end: Any) -> None:
    parent = begun(start, calling(_stored_child(keeping)), script={})
    child = child_of(parent)
    run_to_end(parent)
    Review.objects.create(tenant=keeping, execution=child, step_run=run_of(child, "inner"), why="", opened_at=NOON)
    age(parent)
    age(child)

    assert pruned(keeping).get("executions", 0) == 0
    assert everything(keeping) == {parent.pk, child.pk}


def test_what_was_run_again_stays_while_that_runs_and_is_forgotten_by_it_later(
    start: Start, keeping: Tenant, run_to_end: Any
) -> None:
    first = run_to_end(start(ONE, script={}))
    second = run_again(execution=first, actor=PERSON, now=NOON)
    age(first)
    assert pruned(keeping).get("executions", 0) == 0

    run_to_end(second)
    assert pruned(keeping)["executions"] == 1
    second.refresh_from_db()
    assert second.again_of_id is None


def test_a_webhook_that_is_still_to_be_sent_keeps_what_it_tells_of(
    start: Start, keeping: Tenant, run_to_end: Any
) -> None:
    target = WebhookTarget.objects.create(tenant=keeping, url="https://far-side.example.org")
    execution = run_to_end(start(ONE, script={}))
    age(execution)
    OutboxMessage.objects.update(created_at=NOON)
    assert pruned(keeping).get("executions", 0) == 0
    assert OutboxMessage.objects.count() == 2

    first, second = OutboxMessage.objects.all()
    OutboxMessage.objects.filter(pk=first.pk).update(sent_at=NOON)
    OutboxMessage.objects.filter(pk=second.pk).update(tries=TRIES)
    told = pruned(keeping)

    assert (told["executions"], told["messages"]) == (1, 2)
    assert WebhookTarget.objects.filter(pk=target.pk).exists()


def test_a_dry_run_says_what_would_go_and_a_limit_is_kept(start: Start, keeping: Tenant, run_to_end: Any) -> None:
    executions = [run_to_end(start(ONE, script={})) for _ in range(3)]
    for number, execution in enumerate(executions):
        age(execution, days=KEEP + 10 - number)

    assert pruned(keeping, dry_run=True)["executions"] == 3
    assert len(everything(keeping)) == 3
    assert pruned(keeping, limit=2)["executions"] == 2
    assert everything(keeping) == {executions[2].pk}, "the oldest go first"


def test_executions_of_one_moment_are_all_looked_at(
    start: Start, keeping: Tenant, run_to_end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "WINDOW", 2)
    for _ in range(5):
        run_to_end(start(ONE, script={}))
    Execution.objects.update(created_at=NOON - timedelta(days=400), ended_at=NOON - timedelta(days=400))

    assert pruned(keeping)["executions"] == 5


def test_a_policy_that_is_changed_meanwhile_holds_at_once(
    start: Start, keeping: Tenant, run_to_end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "WINDOW", 1)
    for number in range(3):
        age(run_to_end(start(ONE, script={})), days=KEEP + 3 - number)
    steps = prune(keeping)
    while not next(steps)["executions"]:
        pass
    Tenant.objects.filter(pk=keeping.pk).update(keep_days=None)

    assert sum(step["executions"] for step in steps) == 0
    assert len(everything(keeping)) == 2


def test_the_sweeps_part_of_it_is_a_slice_and_then_a_rest(
    start: Start, keeping: Tenant, run_to_end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "SLICE", 0)
    monkeypatch.setattr(pruning, "WINDOW", 1)
    monkeypatch.setattr(pruning, "REST", 0)
    pruner = Pruner()
    assert pruner.go_on() == 0  # nothing yet: the first pass begins after a rest
    for _ in range(2):
        age(run_to_end(start(ONE, script={})))

    slices = [pruner.go_on() for _ in range(8)]

    assert sum(slices) == 2
    assert max(slices) == 1
    monkeypatch.setattr(pruning, "REST", 60)
    while pruner._resting_until < time.monotonic() + 30:
        pruner.go_on()
    age(run_to_end(start(ONE, script={})))
    assert pruner.go_on() == 0


def test_the_command_says_what_it_did(start: Start, keeping: Tenant, run_to_end: Any) -> None:
    age(run_to_end(start(ONE, script={})))

    assert "1 executions, 3 step runs would go" in _command("--dry-run")
    assert "1 executions" in _command("--tenant", keeping.slug)
    assert "nothing deleted" in _command()
    for arguments, said in (
        (("--tenant", "nobody"), "no tenant 'nobody'"),
        (("--tenant", make_tenant().slug), "kept for ever"),
        (("--limit", "0"), "1 or more"),
    ):
        with pytest.raises(CommandError, match=said):
            _command(*arguments)


def _command(*arguments: str) -> str:
    out = StringIO()
    call_command("prune", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_each_row_that_could_point_at_what_is_deleted_is_found_by_an_index() -> None:
    """Without one, every deleted row reads a whole table."""
    with connection.cursor() as cursor:
        cursor.execute(REFERENCES, ([*DELETED_FROM],))
        found = dict(cursor.fetchall())

    assert len(found) >= 12
    assert [column for column, is_indexed in found.items() if not is_indexed] == []


@pytest.mark.django_db(transaction=True)
def test_what_somebody_has_locked_is_passed_over_at_once(settings: Any) -> None:
    settings.SALLYPORT_ALLOW_FAKE = True
    tenant = _committed_tenant()
    locked, free = (drive(start_workflow(tenant, ONE, script={})) for _ in range(2))
    for execution in (locked, free):
        age(execution)
    is_locked, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Execution.objects.select_for_update().get(pk=locked.pk)
            is_locked.set()
            may_end.wait(20)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert is_locked.wait(20)
        assert pruned(tenant)["executions"] == 1
        assert everything(tenant) == {locked.pk}
    finally:
        may_end.set()
        holder.join(20)
    assert pruned(tenant)["executions"] == 1


@pytest.mark.django_db(transaction=True)
def test_two_that_prune_and_others_that_run_do_not_get_in_each_others_way(settings: Any) -> None:
    settings.SALLYPORT_ALLOW_FAKE = True
    tenant = _committed_tenant()
    old = [drive(start_workflow(tenant, ONE, script={})) for _ in range(20)]
    for execution in old:
        age(execution)
    total, errors = [0, 0], []
    is_over = threading.Event()

    def keep_pruning(place: int) -> None:
        try:
            while not is_over.is_set():
                total[place] += pruned(tenant).get("executions", 0)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    pruners = [threading.Thread(target=keep_pruning, args=(place,)) for place in range(2)]
    for thread in pruners:
        thread.start()
    try:
        made = [_live_or_over(tenant, number) for number in range(12)]
        until = time.monotonic() + 30
        while everything(tenant) & {execution.pk for execution in old} and time.monotonic() < until:
            is_over.wait(0.02)
    finally:
        is_over.set()
        for thread in pruners:
            thread.join(30)

    assert errors == []
    assert sum(total) == 20
    assert everything(tenant) == {execution.pk for execution in made}
    for execution in made:
        check_history(execution)


def _live_or_over(tenant: Tenant, number: int) -> Execution:
    """One of four ends; of the others two wait and one runs, and has for long."""
    workflow: Workflow = ONE if number % 2 else flow(ask(on_success="end"), end(), first="q")
    execution = start_workflow(tenant, workflow)
    if workflow is not ONE:
        advance(execution, "start")
        return execution
    if number % 4 == 1:
        claim(execution, "start")
        change(run_of(execution, "start").pk, "lease_until = clock_timestamp() + interval '1 h'")
        Execution.objects.filter(pk=execution.pk).update(created_at=NOON - timedelta(days=400))
        return execution
    return drive(execution)


def _committed_tenant() -> Tenant:
    tenant = make_tenant()
    Tenant.objects.filter(pk=tenant.pk).update(keep_days=KEEP)
    tenant.refresh_from_db()
    return tenant
