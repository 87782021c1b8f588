"""The canary: a doorbell that does nothing but say that a worker heard it."""

from __future__ import annotations

from celery import shared_task

from config import canary


@shared_task(name="platform.canary", ignore_result=True)
def answer(*, rung_at: float) -> None:
    canary.record_answer(rung_at=rung_at)
