"""The least that a Celery worker of a Django project holds in memory: Celery, Django, its own apps, the same database
driver, and a task that does nothing."""

from __future__ import annotations

import os

import django
from celery import Celery
from django.conf import settings

from benchmarks import raw_celery

if not settings.configured:
    settings.configure(
        SECRET_KEY="of nobody",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "nowhere"}},
        USE_TZ=True,
    )
    django.setup()

app = Celery("bare")
app.conf.update(
    broker_url=os.environ.get("RAW_BROKER_URL", ""),
    broker_transport_options={"global_keyprefix": raw_celery.PREFIX},
    task_default_queue="bare",
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
)


@app.task(name="bare.step")
def step() -> None:
    """A step that does nothing."""
