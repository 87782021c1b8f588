"""The only door to Celery. A message is a nudge: it holds step run ids and no authority.

Only the dispatcher publishes (ruling 33); a commit merely wakes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from celery import current_app
from django.conf import settings

RUN_STEP = "executions.run_step"

#: of CELERY_BROKER_TRANSPORT_OPTIONS["priority_steps"]; with Redis the lower number is taken first
AHEAD, IN_ORDER = 0, 5


@dataclass(frozen=True)
class Nudge:
    """``step_runs``: usually one, several of one execution that fans out. ``goes_ahead``: of what waits already."""

    step_runs: tuple[UUID, ...]
    goes_ahead: bool = False


def publish(nudges: Sequence[Nudge]) -> None:
    """Publish nudges in one round trip. Raises kombu's OperationalError while the broker is away."""
    with current_app.producer_pool.acquire(block=True) as found:
        producer: Any = found  # the stubs know no batches yet
        with producer.connection._reraise_as_library_errors(), producer.batch():
            for nudge in nudges:
                current_app.send_task(
                    RUN_STEP,
                    kwargs={"step_run_ids": [str(step_run) for step_run in nudge.step_runs]},
                    queue=settings.CELERY_TASK_DEFAULT_QUEUE,
                    priority=AHEAD if nudge.goes_ahead else IN_ORDER,
                    producer=producer,
                    ignore_result=True,
                    retry=False,
                )


def waiting() -> int:
    """How many nudges wait in the broker. Raises kombu's OperationalError while the broker is away."""
    with current_app.producer_pool.acquire(block=True) as producer:
        broker: Any = producer.connection
        with broker._reraise_as_library_errors():
            channel = broker.default_channel
            return int(channel.queue_declare(settings.CELERY_TASK_DEFAULT_QUEUE).message_count)
