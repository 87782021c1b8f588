"""The only door to Celery. A message is a nudge: it holds step run ids and no authority.

Only the dispatcher publishes (ruling 33); a commit merely wakes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from celery import current_app
from django.conf import settings

RUN_STEP = "executions.run_step"


def publish(step_runs: Sequence[UUID]) -> None:
    """Publish one nudge a step run. Raises kombu's OperationalError while the broker is away."""
    with current_app.producer_pool.acquire(block=True) as producer:
        for step_run in step_runs:
            current_app.send_task(
                RUN_STEP,
                kwargs={"step_run_ids": [str(step_run)]},
                queue=settings.CELERY_TASK_DEFAULT_QUEUE,
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
