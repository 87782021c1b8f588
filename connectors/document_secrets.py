"""What a document's authentication objects say to a connector (CACAO.md, 8). Opens and sends nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.planning import Call, Destination
from core.secrets import Secret

#: authentication type -> (property of the user's name, property of the secret, what a connector calls that secret)
_TYPES = {
    "http-basic": ("user_id", "password", "password"),
    "user-auth": ("username", "password", "password"),
    "authentication-info": ("username", "password", "password"),
    "private-key": ("username", "private_key", "private_key"),
    "oauth2": (None, "token", "token"),
}
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]*)\s*(?::\s*([A-Za-z]*))?\s*")


@dataclass(frozen=True)
class DocumentLogin:
    """How to log on, by the document.

    ``stored_as``: name of the tenant's connection that holds the secret (``kms``); ``field``: what it is there.
    """

    settings: Mapping[str, Any]
    secrets: Mapping[str, Secret]
    stored_as: str | None = None
    field: str = ""

    def __bool__(self) -> bool:
        return bool(self.secrets) or self.stored_as is not None


def login_of(call: Call) -> DocumentLogin:
    """Return the target's log-on, else the agent's (D33)."""
    for destination in (call.target, call.agent):
        if destination is not None and destination.authentication is not None:
            return _login(destination, destination.authentication)
    return DocumentLogin({}, {})


def _login(destination: Destination, authentication: Mapping[str, Any]) -> DocumentLogin:
    kind = str(authentication.get("type", ""))
    user, secret, name = _TYPES.get(kind, _TYPES["user-auth"])
    settings: dict[str, Any] = {}
    if user is not None and isinstance(authentication.get(user), str):
        settings["user"] = authentication[user]
    if kind == "oauth2":
        settings |= _oauth_header(authentication.get("oauth_header"))
    if authentication.get("kms") is True:
        return DocumentLogin(settings, {}, str(authentication.get("kms_key_identifier") or ""), name)
    found = _secret(destination, authentication, secret)
    secrets = {name: found} if found else {}
    if kind == "private-key" and (passphrase := _secret(destination, authentication, "password")):
        secrets["passphrase"] = passphrase
    return DocumentLogin(settings, secrets, None, name)


def _secret(destination: Destination, authentication: Mapping[str, Any], name: str) -> Secret | None:
    """The document's own secret, or what a variable put in its place."""
    found = destination.secrets.get(name)
    if found is not None:
        return found
    value = authentication.get(name)
    return Secret(value) if isinstance(value, str) and value else None


def _oauth_header(given: Any) -> Mapping[str, str]:
    """Read ``oauth_header``: a header's name, a scheme, or ``Name: Scheme``. Without one: Authorization, Bearer."""
    match = _HEADER.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        return {}
    first, scheme = match[1], match[2]
    if scheme:
        return {"auth_header": first, "auth_scheme": scheme}
    if first.lower() in ("bearer", "token", "basic"):
        return {"auth_header": "Authorization", "auth_scheme": first}
    return {"auth_header": first, "auth_scheme": "Bearer" if first.lower() == "authorization" else ""}
