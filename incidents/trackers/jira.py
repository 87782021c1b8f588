"""Jira Cloud's REST API, version 3."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from incidents.models import Incident
from incidents.outside import CallFailed
from incidents.trackers.base import Tracker, details_of, lines_of, title_of

PRIORITIES: Final = {"sev1": "Highest", "sev2": "High", "sev3": "Medium", "sev4": "Low"}
_API: Final = "/rest/api/3"


class Jira(Tracker):
    required = ("base_url", "email", "project_key")

    def headers(self) -> Mapping[str, str]:
        login = b64encode(f"{self.setting('email')}:{self._token}".encode()).decode()
        return {"Authorization": f"Basic {login}"}

    def find(self, incident: Incident, mark: UUID) -> str | None:  # noqa: ARG002 (labels can be searched for alone)
        query = {"jql": f'labels = "{_label(mark)}"', "fields": ["labels"], "maxResults": 1}
        answer = self.send("POST", f"{_API}/search/jql", query)
        issues = answer.get("issues") if isinstance(answer, dict) else None
        return self._address(issues[0]) if isinstance(issues, list) and issues else None

    def open(self, incident: Incident, mark: UUID) -> str:
        fields: dict[str, Any] = {
            "project": {"key": self.setting("project_key")},
            "issuetype": {"name": str(self._row.config.get("issue_type") or "Bug")},
            "summary": title_of(incident),
            "description": _document([*lines_of(incident), *details_of(incident).splitlines()]),
            "labels": [incident.severity, incident.kind, _label(mark)],
            "priority": {"name": PRIORITIES[incident.severity]},
        }
        return self._address(self.send("POST", f"{_API}/issue", {"fields": fields}))

    def resolve(self, url: str, text: str) -> None:
        issue = f"{_API}/issue/{quote(url.rsplit('/', 1)[-1], safe='')}"
        self.send("POST", f"{issue}/comment", {"body": _document(text.splitlines())})
        answer = self.send("GET", f"{issue}/transitions")
        rows = answer.get("transitions") if isinstance(answer, dict) else None
        ends = [row["id"] for row in rows or () if _is_an_end(row)]
        if not ends:
            raise CallFailed("its workflow has no way to a finished state", is_final=True)
        self.send("POST", f"{issue}/transitions", {"transition": {"id": ends[0]}})

    def _address(self, answer: Any) -> str:
        key = answer.get("key") if isinstance(answer, dict) else None
        if not isinstance(key, str) or not key or len(key) > 100:
            raise CallFailed("its answer names no issue")
        return f"{self._base}/browse/{quote(key, safe='-')}"


def _label(mark: UUID) -> str:
    return f"sallyport-{mark}"


def _is_an_end(row: Any) -> bool:
    there = row.get("to") if isinstance(row, dict) and isinstance(row.get("id"), str) else None
    category = there.get("statusCategory") if isinstance(there, dict) else None
    return isinstance(category, dict) and category.get("key") == "done"


def _document(lines: Sequence[str]) -> dict[str, Any]:
    """Plain text in Atlassian's document format: a paragraph a line, nothing of it read as markup."""
    paragraphs = [
        {"type": "paragraph", "content": [{"type": "text", "text": line}] if line.strip() else []}
        for line in lines or [""]
    ]
    return {"type": "doc", "version": 1, "content": paragraphs}
