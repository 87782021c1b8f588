"""GitLab's REST API, version 4."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote
from uuid import UUID

from incidents.models import Incident
from incidents.timestamps import written
from incidents.trackers.base import Tracker, address_in, markdown_of, marked, title_of


class GitLab(Tracker):
    required = ("project_id",)
    default_base = "https://gitlab.com"

    def headers(self) -> Mapping[str, str]:
        return {"PRIVATE-TOKEN": self._token}

    def find(self, incident: Incident, mark: UUID) -> str | None:
        since = written(incident.created_at)
        answer = self.send("GET", f"{self._issues()}?scope=all&per_page=100&created_after={since}")
        return marked(answer, "description", "web_url", mark)

    def open(self, incident: Incident, mark: UUID) -> str:
        body = {
            "title": title_of(incident),
            "description": markdown_of(incident, mark),
            "labels": f"{incident.severity},{incident.kind}",
        }
        return address_in(self.send("POST", self._issues(), body), "web_url")

    def resolve(self, url: str, text: str) -> None:
        issue = f"{self._issues()}/{quote(url.rsplit('/', 1)[-1], safe='')}"
        self.send("POST", f"{issue}/notes", {"body": text})
        self.send("PUT", issue, {"state_event": "close"})

    def _issues(self) -> str:
        return f"/api/v4/projects/{quote(self.setting('project_id'), safe='')}/issues"
