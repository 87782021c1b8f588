"""Signed requests: what is signed, whether it is, and the secret it is signed with (SEC-43)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from core.keyring import keyring
from core.secrets import Secret, SecretContext, open_sealed, seal
from playbooks.models import Trigger

#: how far the sender's clock may be from the database's, either way
REPLAY_WINDOW: Final = timedelta(minutes=5)
SECRET_OCTETS: Final = 32

_SIGNATURE: Final = re.compile(r"sha256=([0-9a-f]{64})")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_NOBODY: Final = SecretContext(tenant="", table="playbooks_trigger", row="", field="secret")


def new_secret() -> str:
    return f"sallyport_hook_{secrets.token_urlsafe(SECRET_OCTETS)}"


def sealed(trigger: Trigger, secret: str, *, field: str = "secret") -> str:
    return seal(secret, context=_context(trigger, field), keyring=keyring())


def resealed_as_old(trigger: Trigger) -> str:
    """The present secret, sealed for the place of the one before; "" when there is none."""
    if not trigger.sealed_secret:
        return ""
    return sealed(trigger, _opened(trigger, "secret").reveal(), field="old_secret")


def signed_text(*, timestamp: str, event_id: str, body: bytes) -> bytes:
    """What a sender signs: time and id, a line each, then the body as it is sent. No header holds a newline."""
    return f"{timestamp}\n{event_id}\n".encode() + body


def is_fresh(timestamp: str, *, now: datetime) -> bool:
    """Whether the seconds since 1970 that the sender gave are within five minutes of ``now``, the database's time."""
    if not _SECONDS.fullmatch(timestamp):
        return False
    return abs(now.timestamp() - int(timestamp)) <= REPLAY_WINDOW.total_seconds()


def is_signed(trigger: Trigger | None, *, signature: str, text: bytes, now: datetime) -> bool:
    """Whether ``signature`` (``sha256=`` and 64 lower-case hexadecimal digits) is one of ``text`` by the trigger's
    secret, or by the one before while that is good.

    For a trigger that is not there the same work is done, so that the time says nothing about it.
    """
    found = _SIGNATURE.fullmatch(signature)
    given = found[1] if found else "0" * 64
    good = [hmac.compare_digest(_hmac(secret, text), given) for secret in _secrets(trigger, now)]
    return found is not None and trigger is not None and bool(trigger.sealed_secret) and any(good)


def _secrets(trigger: Trigger | None, now: datetime) -> Sequence[Secret]:
    if trigger is None or not trigger.sealed_secret:
        return [open_sealed(seal(new_secret(), context=_NOBODY, keyring=keyring()), context=_NOBODY, keyring=keyring())]
    found = [_opened(trigger, "secret")]
    if trigger.sealed_old_secret and trigger.old_secret_until is not None and now < trigger.old_secret_until:
        found.append(_opened(trigger, "old_secret"))
    return found


def _hmac(secret: Secret, text: bytes) -> str:
    return hmac.new(secret.reveal().encode(), text, hashlib.sha256).hexdigest()


def _opened(trigger: Trigger, field: str) -> Secret:
    record = trigger.sealed_secret if field == "secret" else trigger.sealed_old_secret
    return open_sealed(record, context=_context(trigger, field), keyring=keyring())


def _context(trigger: Trigger, field: str) -> SecretContext:
    return SecretContext(tenant=str(trigger.tenant_id), table="playbooks_trigger", row=str(trigger.pk), field=field)
