"""What all trackers share: their settings, and the text of an issue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from incidents.models import Incident
from incidents.outside import CallFailed, call, token_of
from incidents.outside_models import IssueTracker
from incidents.timestamps import written

LONGEST_TITLE = 250
LONGEST_DETAILS = 20_000


class Tracker:
    """``mark`` is in everything that is opened, so that an issue whose opening was not answered is found again."""

    required: ClassVar[tuple[str, ...]] = ()
    default_base: ClassVar[str] = ""

    def __init__(self, row: IssueTracker) -> None:
        missing = [name for name in self.required if not str(row.config.get(name) or "").strip()]
        if missing:
            raise CallFailed(f"its configuration lacks {', '.join(missing)}", is_final=True)
        self._row = row
        self._token = token_of(row)
        self._base = str(row.config.get("base_url") or self.default_base).rstrip("/")

    def find(self, incident: Incident, mark: UUID) -> str | None:
        """Return the address of the issue with the mark, None where there is none."""
        raise NotImplementedError

    def open(self, incident: Incident, mark: UUID) -> str:
        """Open an issue and return its address."""
        raise NotImplementedError

    def resolve(self, url: str, text: str) -> None:
        """Comment the issue at ``url`` and close it."""
        raise NotImplementedError

    def headers(self) -> Mapping[str, str]:
        raise NotImplementedError

    def setting(self, name: str) -> str:
        return str(self._row.config[name])

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """``path`` begins behind the base. Raises CallFailed."""
        networks = self._row.allow_networks
        return call(method, f"{self._base}{path}", headers=self.headers(), body=body, allow_networks=networks)


def title_of(incident: Incident) -> str:
    return " ".join(f"[{incident.severity.upper()}] {incident.summary}".split())[:LONGEST_TITLE]


def lines_of(incident: Incident) -> list[str]:
    """Return the text of an issue, a fact a line."""
    return [
        incident.summary,
        f"Incident: {incident.pk}",
        f"Kind: {incident.kind}",
        f"Key: {incident.key}",
        f"Severity: {incident.severity}",
        f"Seen at: {written(incident.created_at)}",
        f"Suggested: {', '.join(incident.playbooks)}",
    ]


def details_of(incident: Incident) -> str:
    return json.dumps(incident.details, indent=2, ensure_ascii=False)[:LONGEST_DETAILS]


def markdown_of(incident: Incident, mark: UUID) -> str:
    """Details are indented, so that nothing in them is read as markup; the mark does not show."""
    indented = "\n".join(f"    {line}" for line in details_of(incident).splitlines())
    return "\n\n".join([*lines_of(incident), indented, f"<!-- {mark} -->"])


def address_in(answer: Any, name: str) -> str:
    """Return the address of an issue from a tracker's answer. Raises CallFailed."""
    url = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(url, str) or not url.startswith(("http://", "https://")) or len(url) > 512:
        raise CallFailed("its answer names no issue")
    return url


def marked(answer: Any, body: str, url: str, mark: UUID) -> str | None:
    """Return the address of the issue in a list whose text holds the mark."""
    found = [row for row in answer if isinstance(row, dict)] if isinstance(answer, list) else []
    return next((address_in(row, url) for row in found if str(mark) in str(row.get(body))), None)
