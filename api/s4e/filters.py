"""The filters of GET /api/playbooks. Both together: AND; unknown query parameters are ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_filters import CharFilter, FilterSet

from core.errors import FieldError, Invalid
from playbooks.selectors import search

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet

    from playbooks.models import Playbook

LONGEST = 10_000  # characters of one parameter


class PlaybookFilter(FilterSet):  # type: ignore[misc]  # django-filter ships no types
    search = CharFilter(method="matching", max_length=LONGEST, strip=False)
    tag = CharFilter(method="tagged", max_length=LONGEST, strip=False)

    def matching(self, rows: QuerySet[Playbook], _: str, value: str) -> QuerySet[Playbook]:
        """Name or description holds the text; no character of it is special."""
        return search(rows, value)

    def tagged(self, rows: QuerySet[Playbook], _: str, value: str) -> QuerySet[Playbook]:
        return rows.filter(tags__contains=[value])


def filtered(rows: QuerySet[Playbook], query: Mapping[str, str]) -> QuerySet[Playbook]:
    """Return the rows that the query asks for. Raises Invalid naming the parameter that cannot be one."""
    chosen = PlaybookFilter(query, queryset=rows)
    if not chosen.is_valid():
        fields = [FieldError(name, str(errors[0])) for name, errors in chosen.errors.items()]
        raise Invalid(f"{fields[0].path}: {fields[0].message}", fields=fields)
    found: QuerySet[Playbook] = chosen.qs
    return found
