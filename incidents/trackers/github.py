"""GitHub's REST API, version 2022-11-28."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import UUID

from incidents.models import Incident
from incidents.timestamps import written
from incidents.trackers.base import Tracker, address_in, markdown_of, marked, title_of


class GitHub(Tracker):
    required = ("owner", "repo")
    default_base = "https://api.github.com"

    def headers(self) -> Mapping[str, str]:
        return {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def find(self, incident: Incident, mark: UUID) -> str | None:
        since = written(incident.created_at)
        answer = self.send("GET", f"{self._issues()}?state=all&per_page=100&since={since}")
        return marked(answer, "body", "html_url", mark)

    def open(self, incident: Incident, mark: UUID) -> str:
        labels = [incident.severity, incident.kind, f"priority:{incident.severity}"]
        body: dict[str, Any] = {"title": title_of(incident), "body": markdown_of(incident, mark), "labels": labels}
        return address_in(self.send("POST", self._issues(), body), "html_url")

    def resolve(self, url: str, text: str) -> None:
        issue = f"{self._issues()}/{quote(url.rsplit('/', 1)[-1], safe='')}"
        self.send("POST", f"{issue}/comments", {"body": text})
        self.send("PATCH", issue, {"state": "closed", "state_reason": "completed"})

    def _issues(self) -> str:
        owner, repo = quote(self.setting("owner"), safe=""), quote(self.setting("repo"), safe="")
        return f"/repos/{owner}/{repo}/issues"
