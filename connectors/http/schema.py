"""What ``http.request`` declares (CONNECTORS.md, 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from connectors.base import EffectClass, Endpoint, OperationSpec
from connectors.http.request_line import method_of
from connectors.http.requests import request_of

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
#: how long a far side remembers a key, unless the connection's setting ``key_valid_for`` (seconds) says otherwise
KEY_VALID_FOR = timedelta(hours=24)


def effect_of(arguments: Mapping[str, Any], endpoint: Endpoint | None) -> EffectClass:
    """Return the class of one request: its method decides, and what the connection says of the far side."""
    method = method_of(arguments)
    if method in SAFE_METHODS:
        return EffectClass.READ
    if endpoint is not None and method in ("PUT", "DELETE") and endpoint.settings.get("idempotent"):
        return EffectClass.IDEMPOTENT
    return EffectClass.KEYED if endpoint is not None and endpoint.keyed else EffectClass.UNSAFE


def check(arguments: Mapping[str, Any], endpoint: Endpoint) -> None:
    """Raise what keeps the request from being sent: another host, an unsafe value, a line that is none."""
    request_of(arguments, endpoint)


OPERATIONS = (
    OperationSpec(
        name="http.request",
        title="Make an HTTP request",
        reference="act-http-request",
        command_types=("http-api",),
        connection_kind="http",
        inputs={
            "type": "object",
            "properties": {
                "connection": {"type": "string", "description": "Name of a connection; not needed if there is one."},
                "method": {"enum": list(METHODS), "default": "GET"},
                "path": {"type": "string", "maxLength": 8000, "description": "Path and query; never a host."},
                "headers": {
                    "type": "object",
                    "maxProperties": 100,
                    "additionalProperties": {"type": ["string", "number", "boolean"]},
                },
                "body": {"description": "An object or list is sent as JSON, text as it is."},
            },
            "required": ["path"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "status": {"type": "integer"},
                "headers": {"type": "object", "additionalProperties": {"type": "string"}},
                "body": {"description": "JSON, or text where the answer is no JSON."},
            },
        },
        check=check,
        effect_of=effect_of,
        key_valid_for=KEY_VALID_FOR,
        secret_fields=("token", "password"),
        unsafe_reason="A POST may do anything. GET, HEAD, OPTIONS are read; a keyed connection makes the rest keyed.",
    ),
)
