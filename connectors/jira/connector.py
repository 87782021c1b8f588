"""``ticket.create``: an issue with a label that holds our key, so that it can be found again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.base import Command, Outcome, ProbeAnswer, completed, failed
from connectors.jira.client import get, post, site
from connectors.texts import as_text

_LABEL = re.compile(r"sallyport-[A-Za-z0-9.-]{1,200}")
_ISSUE_KEY = re.compile(r"[A-Z][A-Z0-9_]*-[0-9]+", re.IGNORECASE)


class JiraConnector:
    async def run(self, command: Command) -> Outcome:
        if command.operation == "jira.check":
            found = await get(command, "/myself")
            return (
                found if isinstance(found, Outcome) else completed({"account": found.get("accountId"), "status": "ok"})
            )
        answer = await post(command, "/issue", {"fields": _fields(command.arguments, _label(command))})
        if isinstance(answer, Outcome):
            return answer
        key = answer.get("key")
        if not isinstance(key, str) or not _ISSUE_KEY.fullmatch(key):
            return failed("bad_answer", "Jira's answer names no issue.", sent=True, retry=False)
        return _created(command, key)

    async def probe(self, command: Command) -> tuple[ProbeAnswer, Outcome | None]:
        """Search for the label. Two issues with one key are a person's to judge."""
        label = _label(command)
        answer = await post(
            command, "/search/jql", {"jql": f'labels = "{label}"', "fields": ["labels"], "maxResults": 10}
        )
        if isinstance(answer, Outcome) or not isinstance(answer.get("issues"), list):
            return ProbeAnswer.CANNOT_TELL, None
        keys = [issue["key"] for issue in answer["issues"] if _has_label(issue, label)]
        if len(keys) == 1 and isinstance(keys[0], str):
            return ProbeAnswer.THERE, _created(command, keys[0])
        if keys or answer["issues"] or answer.get("nextPageToken"):
            return ProbeAnswer.CANNOT_TELL, None
        return ProbeAnswer.NOT_THERE, None


def _created(command: Command, key: str) -> Outcome:
    return completed({"issue_key": key, "url": f"{site(command)}/browse/{key}"})


def _label(command: Command) -> str:
    label = f"sallyport-{command.key}"
    if not _LABEL.fullmatch(label):
        raise ValueError("the key of a call holds letters, digits, '-' and '.' only")
    return label


def _fields(arguments: Mapping[str, Any], label: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "project": {"key": arguments["project"]},
        "issuetype": {"name": arguments.get("issue_type") or "Task"},
        "summary": as_text(arguments["summary"]).strip(),
        "labels": [label],
    }
    if arguments.get("description") is not None:
        fields["description"] = _document(as_text(arguments["description"]))
    if arguments.get("priority"):
        fields["priority"] = {"name": arguments["priority"]}
    return fields


def _document(text: str) -> dict[str, Any]:
    """Plain text in Atlassian's document format: a paragraph for each line, nothing of it read as markup."""
    paragraphs = [
        {"type": "paragraph", "content": [{"type": "text", "text": line}] if line.strip() else []}
        for line in text.splitlines() or [""]
    ]
    return {"type": "doc", "version": 1, "content": paragraphs}


def _has_label(issue: Any, label: str) -> bool:
    fields = issue.get("fields") if isinstance(issue, dict) else None
    return isinstance(fields, dict) and isinstance(fields.get("labels"), list) and label in fields["labels"]
