"""Any number of sweeps fire a schedule once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial

from accounts.models import Tenant
from core.clock import database_now
from executions.models import Execution
from executions.services.scheduling import fire_due
from playbooks.models import Trigger
from playbooks.schedules import next_fire
from playbooks.services import change_trigger
from tests.executions.histories import check_history
from tests.executions.test_schedules import NIGHTLY, fires, nights_ago, schedule
from tests.races.racing import ROUNDS, racers


def test_four_sweeps_at_once_fire_each_of_many_schedules_once(tenant: Tenant) -> None:
    triggers = [schedule(tenant) for _ in range(12)]
    with racers(4) as threads:
        for number in range(ROUNDS // 10):
            due = nights_ago(number)
            Trigger.objects.update(next_due_at=due, missed_policy="once" if number == 0 else "all")

            made = threads.all_at_once(fire_due)

            assert all(isinstance(count, int) for count in made), made
            fire_due()  # what one of them held while the others looked
            for trigger in triggers:
                assert Counter(fires(trigger)) == Counter(nights_ago(count) for count in range(number + 1))
    for execution in Execution.objects.all():
        check_history(execution)


def test_a_schedule_that_is_changed_while_it_fires_goes_on_from_one_of_both(tenant: Tenant) -> None:
    trigger = schedule(tenant)
    with racers(2) as threads:
        for number in range(ROUNDS // 2):
            Trigger.objects.filter(pk=trigger.pk).update(next_due_at=database_now() - timedelta(seconds=1))
            cron = "0 4 * * *" if number % 2 else NIGHTLY
            Trigger.objects.filter(pk=trigger.pk).update(is_from_document=False, cron="0 5 * * *")

            threads.run([fire_due, partial(change_trigger, trigger=trigger, cron=cron)])

            trigger.refresh_from_db()
            assert trigger.cron == cron
            assert trigger.next_due_at == next_fire(cron, database_now())
