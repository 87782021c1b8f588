"""Public ids of this family, and their converters: the order of URL patterns does not matter."""

from __future__ import annotations

import re
from typing import Final

from django.urls import register_converter

from playbooks.models import Playbook

PLAYBOOK: Final = "pb-"
EXECUTION: Final = "pexec-"
ASSET = re.compile(r"a-[A-Za-z0-9][A-Za-z0-9_.-]{0,123}")


class PlaybookId:
    """``pb-<slug>`` to the slug and back."""

    regex = r"pb-[A-Za-z0-9][A-Za-z0-9_-]{0,124}"

    def to_python(self, value: str) -> str:
        return value.removeprefix(PLAYBOOK)

    def to_url(self, value: str) -> str:
        return f"{PLAYBOOK}{value}"


class ExecutionId:
    """``pexec-<n>`` to its number and back."""

    regex = r"pexec-[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        return int(value.removeprefix(EXECUTION))

    def to_url(self, value: int) -> str:
        return f"{EXECUTION}{value}"


class Segment:
    """One free segment of a path; the view looks at what it says."""

    regex = r"[^/]{1,256}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(PlaybookId, "s4e_playbook")
register_converter(ExecutionId, "s4e_execution")
register_converter(Segment, "s4e_segment")


def playbook_id(playbook: Playbook) -> str:
    return f"{PLAYBOOK}{playbook.slug}"


def execution_id(number: int) -> str:
    return f"{EXECUTION}{number}"
