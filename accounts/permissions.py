"""Who may do what: the one table of permissions and roles. Source: contracts/aisoc.md 1.3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final


def _verbs(resources: str, verbs: str) -> frozenset[str]:
    return frozenset(f"{resource}:{verb}" for resource in resources.split() for verb in verbs.split())


PERMISSIONS: Final[frozenset[str]] = (
    _verbs("alerts cases playbooks connectors detections users api_keys", "read write delete")
    | _verbs("rules threat_intel reports settings roles tenant sla compliance ueba", "read write")
    | _verbs("honeytokens purple_team connections", "read write")
    | _verbs("incidents", "read write execute approve")
    | _verbs("plugins", "read execute admin")
    | _verbs("manual", "read respond")
    | _verbs("fins", "read admin")
    | _verbs("lake", "query read_schema")
    | {"playbooks:execute", "approvals:decide", "keys:write", "audit_log:read"}
)

#: Names that scopes of API keys may use for a permission of another name.
ALIASES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"cases:investigate": frozenset({"cases:write"}), "detections:read": frozenset({"detections:read", "rules:read"})}
)

_READS = frozenset(permission for permission in PERMISSIONS if permission.endswith(":read"))
_VIEWER = _READS - {"api_keys:read", "users:read", "roles:read", "audit_log:read"}
_LAKE = _verbs("lake", "query read_schema")
_ANALYST = (
    _VIEWER
    | _LAKE
    | _verbs("alerts cases incidents", "write")
    | {"playbooks:execute", "incidents:execute", "manual:respond"}
)

#: Role -> permissions. These are the system roles; they are the same for every tenant and nobody changes them.
ROLES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "platform_admin": PERMISSIONS,
        "admin": PERMISSIONS,
        "tenant_admin": PERMISSIONS - {"tenant:write"},
        "soc_lead": _READS
        | _LAKE
        | _verbs(
            "alerts cases rules reports threat_intel incidents ueba honeytokens purple_team compliance sla", "write"
        )
        | {"playbooks:write", "playbooks:execute", "incidents:execute", "incidents:approve", "approvals:decide"}
        | {"manual:respond"},
        "soc_analyst": _ANALYST,
        "analyst": _ANALYST,
        "approver": _VIEWER | {"approvals:decide", "incidents:approve", "manual:respond"},
        "threat_hunter": _VIEWER | _LAKE | _verbs("cases rules threat_intel", "write"),
        "viewer": _VIEWER,
        "api_service": _verbs("alerts cases", "read write") | {"threat_intel:read"},
    }
)
#: Who runs the installation. Other administrators run a tenant, whatever their permissions.
PLATFORM: Final = "platform_admin"
#: Roles that may do everything: a tenant always keeps one active user who has one of them.
ADMINISTRATORS: Final = frozenset({"platform_admin", "admin", "tenant_admin"})


def permissions_of(role: str) -> frozenset[str]:
    """Return what a role may do; nothing for a role that does not exist."""
    return ROLES.get(role, frozenset())


def is_scope(name: str) -> bool:
    """Whether ``name`` can limit a key: a permission, an alias, ``resource:*`` or ``*``."""
    return name in PERMISSIONS or name in ALIASES or bool(_expand(name))


def limited_to(permissions: frozenset[str], scopes: Iterable[str]) -> frozenset[str]:
    """Return what a key with these scopes may do for an owner with these permissions; no scopes: all of them."""
    named = list(scopes)
    if not named:
        return permissions
    return permissions & frozenset().union(*map(_expand, named))


def _expand(scope: str) -> frozenset[str]:
    if scope == "*":
        return PERMISSIONS
    if scope in ALIASES:
        return ALIASES[scope]
    resource, _, verb = scope.partition(":")
    if verb == "*":
        return frozenset(permission for permission in PERMISSIONS if permission.startswith(f"{resource}:"))
    return frozenset({scope}) & PERMISSIONS
