"""A vendor's token endpoint (RFC 6749, 4.1.3 and 6; RFC 7636): codes and refresh tokens for tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from connectors import loop
from connectors.addresses import read_url
from connectors.base import Endpoint
from connectors.policy import policy_for
from connectors.services import own_networks
from connectors.toolkit_models import ToolkitApp
from core import strict_json
from core.errors import Invalid, Unavailable
from core.keyring import keyring
from core.outbound import BadAnswer, NoAnswer, OutboundRequest, OutboundResponse, Refused, shared_outbound
from core.secrets import Secret, SecretContext, open_sealed, seal

TIME_LIMIT: Final = timedelta(seconds=15)
#: where the vendors' answers name the account
_VENDOR_IDS: Final = ("stripe_user_id", "merchant_id", "account_id", "user_id", "id")
_LONGEST_LIFE: Final = 10 * 366 * 86_400


class GrantRefused(Invalid):
    """The vendor does not take the code or the refresh token."""

    code = "grant_refused"


class VendorAway(Unavailable):
    """The vendor's token endpoint cannot be reached, or fails."""

    code = "vendor_away"


@dataclass(frozen=True)
class Tokens:
    """``lifetime`` None: the vendor names none. ``vendor_id`` "": nor an account."""

    access: Secret
    refresh: Secret | None
    lifetime: timedelta | None
    vendor_id: str

    def secrets(self) -> dict[str, str]:
        """Return what is to be sealed, by field."""
        found = {"token": self.access.reveal()}
        return found if self.refresh is None else found | {"refresh_token": self.refresh.reveal()}


def exchange_code(app: ToolkitApp, *, code: str, redirect_uri: str, verifier: Secret) -> Tokens:
    """Raises GrantRefused, VendorAway."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    return _ask(app, form | {"code_verifier": verifier.reveal()})


def refresh(app: ToolkitApp, token: Secret) -> Tokens:
    """Raises GrantRefused, VendorAway."""
    return _ask(app, {"grant_type": "refresh_token", "refresh_token": token.reveal()})


def sealed_client_secret(app: ToolkitApp, secret: str) -> str:
    return seal(secret, context=_context(app), keyring=keyring()) if secret else ""


def _ask(app: ToolkitApp, form: Mapping[str, str]) -> Tokens:
    answer = _send(app, {**form, "client_id": app.client_id, **_client_secret(app)})
    if 400 <= answer.status < 500:
        raise GrantRefused(f"{app.toolkit} refused (HTTP {answer.status}).")
    try:
        found = strict_json.loads(answer.body) if 200 <= answer.status < 300 else None
    except strict_json.JsonInvalid:
        found = None
    if not isinstance(found, Mapping):
        raise VendorAway(f"{app.toolkit} gave no answer that can be read (HTTP {answer.status}).")
    token = found.get("access_token")
    if not isinstance(token, str) or not token:
        raise GrantRefused(f"{app.toolkit} gave no token.")
    return _tokens(found, token)


def _tokens(found: Mapping[str, Any], token: str) -> Tokens:
    renewed, seconds = found.get("refresh_token"), found.get("expires_in")
    is_span = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= _LONGEST_LIFE
    team = found.get("team")
    named = [found.get(name) for name in _VENDOR_IDS] + [team.get("id") if isinstance(team, Mapping) else None]
    return Tokens(
        access=Secret(token),
        refresh=Secret(renewed) if isinstance(renewed, str) and renewed else None,
        lifetime=timedelta(seconds=float(seconds)) if is_span and seconds is not None else None,
        vendor_id=next((name[:255] for name in named if isinstance(name, str) and name.isprintable() and name), ""),
    )


def _send(app: ToolkitApp, form: Mapping[str, str]) -> OutboundResponse:
    networks = tuple(own_networks(read_url(app.token_url, kind=app.toolkit)))
    endpoint = Endpoint(name=app.toolkit, kind=app.toolkit, url=app.token_url, allow_networks=networks)
    request = OutboundRequest(
        method="POST",
        url=app.token_url,
        policy=policy_for(endpoint),
        headers=(("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")),
        body=urlencode(form).encode(),
        time_limit=TIME_LIMIT,
        pool=f"oauth {app.pk}",
    )
    try:
        return loop.run(_exchange(request), time_limit=TIME_LIMIT)
    except (Refused, BadAnswer, NoAnswer, loop.OutOfTime) as error:
        raise VendorAway(f"{app.toolkit} cannot be reached: {type(error).__name__}.") from None


async def _exchange(request: OutboundRequest) -> OutboundResponse:
    return await shared_outbound().send(request)


def _client_secret(app: ToolkitApp) -> dict[str, str]:
    if not app.sealed_client_secret:
        return {}
    secret = open_sealed(app.sealed_client_secret, context=_context(app), keyring=keyring())
    return {"client_secret": secret.reveal()}


def _context(app: ToolkitApp) -> SecretContext:
    return SecretContext(str(app.tenant_id), "connectors_toolkitapp", str(app.pk), "client_secret")
