"""Connecting a vendor's account by logging on there (RFC 6749 with PKCE), and taking a connection back."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.core import signing
from django.db import transaction

from connectors import dispatch, oauth, selectors, services
from connectors.addresses import AddressInvalid, read_url
from connectors.base import Outcome
from connectors.models import Connection
from connectors.planning import Call
from connectors.registry import TOOLKITS_OF_CONNECTIONS
from connectors.toolkit_models import ConnectState, ToolkitApp
from core.errors import Conflict, FieldError, Invalid
from core.keyring import keyring
from core.models import uuid7
from core.secrets import SecretContext, is_masked, open_sealed, seal

if TYPE_CHECKING:
    from accounts.models import Tenant

STATE_LIFETIME: Final = timedelta(minutes=10)
#: what is called to see whether a connection works
_CHECKS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "stripe": ("stripe.get_account", {}),
    "shopify": ("shopify.get_shop_info", {}),
    "okta": ("okta.get_user", {"user_id": "me"}),
    "slack": ("slack.check", {}),
    "jira": ("jira.check", {}),
    "square": ("square.get_merchant", {}),
}
_CHECK_LIMIT: Final = timedelta(seconds=30)
_SALT: Final = "connectors.connecting.state"


class AppInvalid(Invalid):
    code = "toolkit_app_invalid"


class NoApp(Conflict):
    """Nobody can log on: the tenant has no OAuth client for the toolkit."""

    code = "no_toolkit_app"


class StateRefused(Conflict):
    """The state is unknown, used, expired or another tenant's; one error for all."""

    code = "state_refused"


@dataclass(frozen=True)
class Begun:
    oauth_url: str
    state: str
    expires_at: datetime


def check_app(*, toolkit: str, client_secret: str = "", **urls: str) -> None:
    """Raise AppInvalid naming each field that cannot be stored. ``urls``: authorize_url, token_url, api_url."""
    faults = [] if toolkit in TOOLKITS_OF_CONNECTIONS else [FieldError("toolkit", "There is no such toolkit.")]
    if is_masked(client_secret):
        faults.append(FieldError("client_secret", "A secret is text, and not the stars shown in its place."))
    for name, url in urls.items():
        try:
            address = read_url(url, kind="http")
            if address.query:
                faults.append(FieldError(name, "An address without a query."))
        except AddressInvalid as error:
            faults.append(FieldError(name, error.message))
    if faults:
        raise AppInvalid(" ".join(f"{fault.path}: {fault.message}" for fault in faults), fields=faults)


@transaction.atomic
def save_app(
    *,
    tenant: Tenant,
    toolkit: str,
    client_id: str,
    authorize_url: str,
    token_url: str,
    api_url: str,
    client_secret: str = "",
    scopes: str = "",
) -> ToolkitApp:
    """Make or change the tenant's OAuth client for a toolkit; "" leaves a stored secret. Raises AppInvalid."""
    urls = {"authorize_url": authorize_url, "token_url": token_url, "api_url": api_url}
    check_app(toolkit=toolkit, client_secret=client_secret, **urls)
    app = ToolkitApp.objects.select_for_update().filter(tenant=tenant, toolkit=toolkit).first()
    app = app or ToolkitApp(tenant=tenant, toolkit=toolkit)
    app.client_id, app.scopes = client_id, scopes
    app.authorize_url, app.token_url, app.api_url = authorize_url, token_url, api_url
    if client_secret:
        app.sealed_client_secret = oauth.sealed_client_secret(app, client_secret)
    app.save()
    return app


def begin_connect(*, tenant: Tenant, toolkit: str, redirect_uri: str, now: datetime) -> Begun:
    """Return where somebody logs on to connect an account. Raises NoApp."""
    app = ToolkitApp.objects.filter(tenant=tenant, toolkit=toolkit).first()
    if app is None:
        raise NoApp(f"There is no OAuth client for {toolkit}. An administrator sets one up (toolkit apps).")
    verifier = secrets.token_urlsafe(48)
    row = ConnectState(id=uuid7(), tenant=tenant, app=app, expires_at=now + STATE_LIFETIME)
    row.sealed_verifier = seal(verifier, context=_context(row), keyring=keyring())
    row.save(force_insert=True)
    state = signing.Signer(salt=_SALT).sign(row.pk.hex)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code",
        "client_id": app.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **({"scope": app.scopes} if app.scopes else {}),
    }
    return Begun(f"{app.authorize_url}?{urlencode(query)}", state, row.expires_at)


def finish_connect(*, state: str, code: str, redirect_uri: str, tenant: Tenant | None, now: datetime) -> Connection:
    """Exchange the code and store the connection. ``tenant``: of the caller, where one is known.

    The state is used up whatever follows. Raises StateRefused, GrantRefused, VendorAway.
    """
    row = _use_up(state, tenant, now=now)
    verifier = open_sealed(row.sealed_verifier, context=_context(row), keyring=keyring())
    tokens = oauth.exchange_code(row.app, code=code, redirect_uri=redirect_uri, verifier=verifier)
    return _store(row.app, tokens, now=now)


@transaction.atomic
def revoke(*, connection: Connection, now: datetime) -> Connection:
    """Take a connection back: its tokens are gone, its row stays. Again: nothing more happens."""
    locked = selectors.of(connection.tenant_id).select_for_update().get(pk=connection.pk)
    if locked.status == "revoked":
        return locked
    locked.status, locked.is_enabled, locked.sealed_secrets = "revoked", False, {}
    locked.revoked_at = locked.updated_at = now
    locked.save(update_fields=["status", "is_enabled", "sealed_secrets", "revoked_at", "updated_at"])
    return locked


def try_connection(connection: Connection) -> Outcome:
    """Read something small through a connection, and return what came of it."""
    operation, arguments = _CHECKS[connection.kind]
    call = Call(key=f"check-{uuid7()}", operation=operation, arguments={**arguments, "connection": connection.name})
    planned = dispatch.plan(tenant_id=connection.tenant_id, calls=[call])
    return dispatch.carry_out(planned, fence=1, headers={}, before_send=None, time_limit=_CHECK_LIMIT).outcome


def _use_up(state: str, tenant: Tenant | None, *, now: datetime) -> ConnectState:
    refused = StateRefused("The state is unknown, used, expired or not yours. Connect anew.")
    try:
        key = UUID(hex=signing.Signer(salt=_SALT).unsign(state))
    except (signing.BadSignature, ValueError):
        raise refused from None
    open_ = ConnectState.objects.filter(pk=key, used_at=None, expires_at__gt=now, tenant__is_active=True)
    if tenant is not None:
        open_ = open_.filter(tenant=tenant)
    if open_.update(used_at=now) != 1:
        raise refused
    return ConnectState.objects.select_related("app", "app__tenant").get(pk=key)


@transaction.atomic
def _store(app: ToolkitApp, tokens: oauth.Tokens, *, now: datetime) -> Connection:
    found = selectors.of(app.tenant_id).filter(kind=app.toolkit, vendor_id=tokens.vendor_id or "-").first()
    if found is None:
        name = f"{app.toolkit} {tokens.vendor_id or uuid7()}"[:128]
        found = services.save_connection(
            tenant=app.tenant, kind=app.toolkit, name=name, url=app.api_url, secrets={}, now=now
        )
        found.vendor_id = tokens.vendor_id or str(found.pk)
        found.save(update_fields=["vendor_id"])
    else:
        found = services.update_connection(connection=found, url=app.api_url, secrets={}, enabled=True, now=now)
    return services.store_tokens(connection=found, tokens=tokens, now=now)


def _context(row: ConnectState) -> SecretContext:
    return SecretContext(str(row.tenant_id), "connectors_connectstate", str(row.pk), "verifier")
