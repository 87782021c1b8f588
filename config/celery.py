"""The Celery app. A message is a doorbell: what is to be done stands in PostgreSQL. There is no schedule here."""

from __future__ import annotations

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# A worker would run Django's checks at its start, which import every route of the API. `manage.py check` runs them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
TRANSPORT_ALIASES |= dict.fromkeys(("redis", "rediss"), "config.transport:Transport")
app = Celery("sallyport")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
