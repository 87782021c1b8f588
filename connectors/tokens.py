"""The tokens of toolkits' connections: when they are refreshed, and what a refusal means."""

from __future__ import annotations

from django.db import transaction

from connectors import oauth, selectors, services
from connectors.base import Outcome, failed
from connectors.models import Connection
from connectors.opening import context_of
from connectors.standing import REFRESH
from connectors.toolkit_models import ToolkitApp
from core.clock import database_now
from core.errors import DomainError
from core.keyring import keyring
from core.secrets import open_sealed


def made_fresh(connection: Connection, *, key: str) -> Connection | Outcome:
    """Return the connection with a token that is not over, refreshed where it was; or why there is none.

    Others wait for a refresh that is under way: most refresh tokens are good once.
    """
    if connection.expires_at is None or connection.expires_at > database_now():
        return connection
    with transaction.atomic():
        locked = selectors.of(connection.tenant_id).select_for_update().filter(pk=connection.pk).first()
        if locked is None:
            return failed("no_connection", "The connection is gone.", sent=False, retry=False)
        if locked.expires_at is None or locked.expires_at > database_now():
            return locked
        return _refreshed(locked, key=key)


def _refreshed(connection: Connection, *, key: str) -> Connection | Outcome:
    app = ToolkitApp.objects.filter(tenant_id=connection.tenant_id, toolkit=connection.kind).first()
    sealed = connection.sealed_secrets.get(REFRESH)
    try:
        if app is None or sealed is None:
            raise oauth.GrantRefused(f"The token of {connection.name!r} is over and cannot be refreshed.")
        context = context_of(connection.tenant_id, connection.pk, REFRESH)
        tokens = oauth.refresh(app, open_sealed(sealed, context=context, keyring=keyring()))
    except oauth.GrantRefused as error:
        mark_expired(connection, key=key)
        return failed("unauthorized", error.message, sent=False, retry=False)
    except DomainError as error:
        return failed("action_failed", error.message, sent=False)
    return services.store_tokens(connection=connection, tokens=tokens, now=database_now())


def note_refused(connection: Connection, *, key: str) -> bool:
    """The vendor refused the token of a call: refresh it once for this call, else the connection is expired.

    Return whether the next try has a refreshed one.
    """
    found = selectors.of(connection.tenant_id).filter(pk=connection.pk)
    current = found.first()
    if current is None or current.status != "active":
        return False
    if REFRESH in current.sealed_secrets and current.refreshed_key != key:
        found.update(expires_at=database_now(), refreshed_key=key)
        return True
    mark_expired(current, key=key)
    return False


def mark_expired(connection: Connection, *, key: str) -> None:
    now = database_now()
    selectors.of(connection.tenant_id).filter(pk=connection.pk, status="active").update(
        status="expired", refused_key=key, updated_at=now
    )


def note_used(connection: Connection) -> None:
    selectors.of(connection.tenant_id).filter(pk=connection.pk).update(last_used_at=database_now())
