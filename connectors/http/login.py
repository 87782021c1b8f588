"""The header that logs a request on: basic, bearer, or a header of the connection's own."""

from __future__ import annotations

import base64

from connectors.base import Endpoint


def login_header(endpoint: Endpoint) -> tuple[str, str] | None:
    """Return name and value of the header, or None for an endpoint without a secret.

    A ``password`` makes HTTP basic with the setting ``user``; a ``token`` goes into ``auth_header`` after
    ``auth_scheme``, which are Authorization and Bearer unless given; in a header of another name it stands alone.
    """
    token, password = endpoint.secrets.get("token"), endpoint.secrets.get("password")
    user = str(endpoint.settings.get("user") or "")
    if password is None and token is not None and user and endpoint.kind == "jira":
        password = token  # Jira's API tokens are the password of basic authentication
    if password is not None:
        pair = f"{user}:{password.reveal()}".encode()
        return "Authorization", f"Basic {base64.b64encode(pair).decode('ascii')}"
    if token is None:
        return None
    name = str(endpoint.settings.get("auth_header") or "Authorization")
    scheme = endpoint.settings.get("auth_scheme")
    if scheme is None:
        scheme = "Bearer" if name.lower() == "authorization" else ""
    return name, f"{scheme} {token.reveal()}" if scheme else token.reveal()
