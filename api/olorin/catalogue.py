"""Toolkits and their actions, as this family names them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from connectors import registry
from connectors.base import OperationSpec
from core.errors import FieldError, Invalid

#: toolkit -> actions; what our connectors can do beyond these is not named here
ACTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "stripe": ("void_payment", "refund", "review", "get_account", "dispute"),
        "shopify": ("cancel_order", "tag", "get_shop_info"),
        "okta": ("force_mfa", "suspend_user", "get_user"),
        "slack": ("notify",),
        "jira": ("create_case",),
        "square": ("void", "dispute"),
    }
)


class ActionInvalid(Invalid):
    code = "action_invalid"

    @classmethod
    def at(cls, path: str, message: str) -> ActionInvalid:
        return cls(f"{path}: {message}", fields=[FieldError(path, message)])


def check_toolkit(name: str, *, path: str = "toolkit") -> None:
    if name not in ACTIONS:
        raise ActionInvalid.at(path, f"There is no toolkit {name[:100]!r}. Toolkits: {', '.join(ACTIONS)}.")


def bare_action(toolkit: str, action: str, *, at: str = "") -> str:
    """Return the action's bare name: ``stripe_void_payment`` is ``void_payment`` of stripe. Raises ActionInvalid."""
    check_toolkit(toolkit, path=f"{at}toolkit")
    bare = action.removeprefix(f"{toolkit}_")
    if bare not in ACTIONS[toolkit]:
        known = ", ".join(ACTIONS[toolkit])
        raise ActionInvalid.at(f"{at}action", f"{toolkit} has no action {action[:100]!r}. Actions: {known}.")
    return bare


def spec_of(toolkit: str, action: str) -> OperationSpec:
    return registry.operations()[f"{toolkit}.{action}"]


def reference_of(spec: OperationSpec) -> str:
    """Return the reference under which S4E names an action."""
    if spec.reference:
        return spec.reference
    twin = next(operation for operation, name in _ALIASES.items() if name == spec.name)
    return registry.operations()[twin].reference or twin


def named(operation: str) -> tuple[str, str]:
    """Return toolkit and action of an operation; what belongs to no toolkit is named by its connector."""
    head, _, tail = _ALIASES.get(operation, operation).partition(".")
    return head, tail or "run"


#: operations that other families name, and the same as an action
_ALIASES: Final = {"chat.post": "slack.notify", "ticket.create": "jira.create_case"}
