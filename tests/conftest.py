"""Every test runs against real servers: those of DATABASE_URL and REDIS_URL, or the run's own."""

from __future__ import annotations

import os
import secrets
from base64 import b64encode

os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(48))
os.environ.setdefault("SALLYPORT_MASTER_KEY", b64encode(secrets.token_bytes(32)).decode())
os.environ.setdefault("SALLYPORT_DEVELOPMENT", "1")
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
