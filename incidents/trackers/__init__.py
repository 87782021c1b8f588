"""Issue trackers: what is sent to each to find, open, comment and close an issue."""

from __future__ import annotations

from collections.abc import Callable

from incidents.outside_models import IssueTracker
from incidents.trackers.base import Tracker
from incidents.trackers.github import GitHub
from incidents.trackers.gitlab import GitLab
from incidents.trackers.jira import Jira

_TRACKERS: dict[str, Callable[[IssueTracker], Tracker]] = {"github": GitHub, "gitlab": GitLab, "jira": Jira}


def tracker_of(row: IssueTracker) -> Tracker:
    """Raises CallFailed when its configuration lacks something."""
    return _TRACKERS[row.provider](row)
