"""Okta's users. The connection's ``auth_scheme`` is SSWS for an API token, Bearer (as given) for OAuth."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from connectors.base import Command, Outcome, ProbeAnswer, completed
from connectors.toolkits.client import as_object, ask


async def suspend_user(command: Command) -> Outcome:
    answer = await ask(command, "POST", f"{_user(command)}/lifecycle/suspend")
    return answer if isinstance(answer, Outcome) else _now(command, "suspended")


async def is_suspended(command: Command) -> tuple[ProbeAnswer, Outcome | None]:
    answer = await ask(command, "GET", _user(command))
    if isinstance(answer, Outcome):
        return ProbeAnswer.CANNOT_TELL, None
    if as_object(answer).get("status") == "SUSPENDED":
        return ProbeAnswer.THERE, _now(command, "suspended")
    return ProbeAnswer.NOT_THERE, None


async def force_mfa(command: Command) -> Outcome:
    """Take away the enrolled factors: the next login enrols anew."""
    answer = await ask(command, "POST", f"{_user(command)}/lifecycle/reset_factors")
    return answer if isinstance(answer, Outcome) else _now(command, "mfa_reset")


async def has_no_factors(command: Command) -> tuple[ProbeAnswer, Outcome | None]:
    answer = await ask(command, "GET", f"{_user(command)}/factors")
    if not isinstance(answer, list):
        return ProbeAnswer.CANNOT_TELL, None
    if not answer:
        return ProbeAnswer.THERE, _now(command, "mfa_reset")
    return ProbeAnswer.NOT_THERE, None


async def get_user(command: Command) -> Outcome:
    answer = await ask(command, "GET", _user(command))
    if isinstance(answer, Outcome):
        return answer
    found = as_object(answer)
    profile = as_object(found.get("profile"))
    return completed(
        {"user_id": found.get("id"), "status": str(found.get("status") or ""), "login": profile.get("login")}
    )


def _user(command: Command) -> str:
    return f"/api/v1/users/{quote(str(command.arguments['user_id']), safe='')}"


def _now(command: Command, status: str) -> Outcome:
    output: dict[str, Any] = {"user_id": command.arguments["user_id"], "status": status}
    return completed(output)
