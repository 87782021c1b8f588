"""What may stand in a connection's ``settings``, by kind. A name that means nothing is refused, not kept. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from core.errors import FieldError, Invalid

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADERS_OF_HTTP = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class SettingsInvalid(Invalid):
    code = "settings_invalid"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 4000 and "\0" not in value


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_span(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 366 * 86_400


def _is_header(value: Any) -> bool:
    return isinstance(value, str) and bool(_HEADER.fullmatch(value)) and value.lower() not in _HEADERS_OF_HTTP


def _is_ca(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 100_000 and "-----BEGIN CERTIFICATE-----" in value


def _is_user(value: Any) -> bool:
    return _is_text(value) and not re.search(r"[\x00-\x1f\x7f:]", value)


def _is_link(value: Any) -> bool:
    return _is_text(value) and len(value) <= 1000 and bool(re.match(r"https?://[^\s/]", value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z0-9_-]{1,100}", value))


def _is_flavour(value: Any) -> bool:
    return value in ("opensearch", "elasticsearch")


_Rule = tuple[Callable[[Any], bool], str]
_CALL_LIMIT: _Rule = (_is_span, "seconds that one call may take")
_USER: _Rule = (_is_user, "the name to log on with, without colon")
_HTTP: Mapping[str, _Rule] = {
    "user": _USER,
    "auth_header": (_is_header, "the header that holds the secret; Authorization unless given"),
    "auth_scheme": (_is_text, "the word before the secret; Bearer unless given"),
    "idempotency_header": (_is_header, "the header that holds our key; Idempotency-Key unless given"),
    "key_valid_for": (_is_span, "seconds for which the far side remembers a key"),
    "idempotent": (_is_flag, "true if repeating a PUT or DELETE gives the same end state"),
    "trace_headers": (_is_flag, "true to send X-Execution, X-Step-Run, X-Attempt and X-Fence"),
    "ca": (_is_ca, "certificates of the authorities to trust for it, in PEM form"),
    "call_limit": _CALL_LIMIT,
}
RULES: Mapping[str, Mapping[str, _Rule]] = {
    "http": _HTTP,
    "ssh": {
        "user": _USER,
        "host_key": (_is_text, "the server's key: a SHA256 fingerprint or a known-hosts line, one a line"),
        "call_limit": _CALL_LIMIT,
    },
    "slack": {"ca": _HTTP["ca"], "trace_headers": _HTTP["trace_headers"], "call_limit": _CALL_LIMIT},
    **{
        kind: {"ca": _HTTP["ca"], "trace_headers": _HTTP["trace_headers"], "call_limit": _CALL_LIMIT}
        for kind in ("stripe", "shopify", "square")
    },
    "okta": {
        "auth_scheme": _HTTP["auth_scheme"],
        "ca": _HTTP["ca"],
        "trace_headers": _HTTP["trace_headers"],
        "call_limit": _CALL_LIMIT,
    },
    "dbt": {
        "target": (_is_name, "the name of a target in the project's profile"),
        "logs_url": (_is_link, "an http or https address; {task_id} and {key} in it are filled in"),
        "call_limit": _CALL_LIMIT,
    },
    "opensearch": {
        **{name: _HTTP[name] for name in ("user", "auth_header", "auth_scheme", "ca", "trace_headers", "call_limit")},
        "flavour": (_is_flavour, "opensearch or elasticsearch; opensearch unless given"),
    },
    "planner": {name: _HTTP[name] for name in ("auth_header", "auth_scheme", "ca", "trace_headers", "call_limit")},
    "jira": {"user": _USER, "ca": _HTTP["ca"], "trace_headers": _HTTP["trace_headers"], "call_limit": _CALL_LIMIT},
}


def check_settings(kind: str, settings: Mapping[str, Any]) -> None:
    """Raise SettingsInvalid naming each setting that the kind does not have, or whose value does not fit."""
    rules = RULES[kind]
    faults = []
    for name, value in settings.items():
        if name not in rules:
            faults.append(
                FieldError(f"settings.{name}", f"A connection of kind {kind} has {', '.join(sorted(rules))}.")
            )
        elif not rules[name][0](value):
            faults.append(FieldError(f"settings.{name}", f"Must be {rules[name][1]}."))
    if faults:
        names = ", ".join(fault.path for fault in faults)
        raise SettingsInvalid(f"These settings do not fit: {names}. {faults[0].message}", fields=faults)


def secret_field(kind: str, value: str, settings: Mapping[str, Any]) -> str:
    """Return what the one secret given for a connection is: ``private_key``, ``password`` or ``token``."""
    if kind == "ssh":
        return "private_key" if value.lstrip().startswith("-----BEGIN ") else "password"
    if kind == "dbt":
        return "password"
    return "password" if kind in ("http", "opensearch") and settings.get("user") else "token"
