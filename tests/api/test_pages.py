from __future__ import annotations

from itertools import product
from uuid import UUID

import pytest
from django.http import QueryDict
from django.test import Client, RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.request import Request

from api import pagination
from api.errors import Refusal
from api.pagination import CursorScope, read_cursor, write_cursor
from core.errors import Invalid

T1, T2 = UUID(int=1), UUID(int=2)
SCOPE = CursorScope(tenant=T1, name="playbooks", filters={"tag": "a"})


def _request(query: str) -> Request:
    return Request(RequestFactory().get(f"/?{query}"))


@pytest.mark.parametrize(
    "query",
    "page=0 page=abc page=1.5 page=-1 page=%2B1 page=1_0 page=%D9%A3 page= page=99999999999999999999 per_page=0 "
    "per_page=101 per_page=1e1".split(),
)
def test_a_page_is_asked_for_in_digits_within_range(client: Client, query: str) -> None:
    answer = client.get(f"/sample?{query}")

    assert answer.status_code == 422
    assert answer.json()["fields"][0][0] == query.partition("=")[0]


def test_a_page_has_20_rows_unless_up_to_100_are_asked_for(client: Client) -> None:
    assert client.get("/sample").json() | {"tenant": ""} == {"tenant": "", "page": 1, "size": 20}
    assert client.get("/sample?page=3&per_page=100").json() | {"tenant": ""} == {"tenant": "", "page": 3, "size": 100}


def test_a_filter_is_one_of_its_words() -> None:
    assert pagination.one_of(_request("status=a"), "status", {"a", "b"}) == "a"
    assert pagination.one_of(_request(""), "status", {"a", "b"}) is None
    for wrong in ("status=", "status=A", "status=bogus"):
        with pytest.raises(Invalid, match="status"):
            pagination.one_of(_request(wrong), "status", {"a", "b"})


@given(st.lists(st.text(max_size=40), max_size=4))
def test_a_cursor_gives_back_what_was_written(position: list[str]) -> None:
    assert read_cursor(write_cursor(position, scope=SCOPE), scope=SCOPE) == position


def test_a_cursor_with_any_character_changed_is_refused() -> None:
    cursor = write_cursor(["2030-01-31", str(T1)], scope=SCOPE)

    for place, letter in product(range(len(cursor)), "Aa0-_"):
        changed = cursor[:place] + letter + cursor[place + 1 :]
        if changed != cursor:
            with pytest.raises(Refusal):
                read_cursor(changed, scope=SCOPE)


@pytest.mark.parametrize("cursor", ["", "A", "AAAA", "=" * 8, "ü", "x" * 2**20, "!!!!", "a b"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Refusal):
        read_cursor(cursor, scope=SCOPE)


@pytest.mark.parametrize(
    "scope",
    [
        CursorScope(tenant=T2, name="playbooks", filters={"tag": "a"}),
        CursorScope(tenant=T1, name="executions", filters={"tag": "a"}),
        CursorScope(tenant=T1, name="playbooks", filters={"tag": "b"}),
        CursorScope(tenant=T1, name="playbooks", filters={}),
    ],
)
def test_a_cursor_of_another_tenant_list_or_filter_is_refused(scope: CursorScope) -> None:
    cursor = write_cursor(["x"], scope=SCOPE)

    with pytest.raises(Refusal):
        read_cursor(cursor, scope=scope)


def test_lookups_of_the_database_are_no_filters(client: Client) -> None:
    plain = client.get("/sample").content
    query = QueryDict(mutable=True)
    query.update({"sort": "password", "ordering": "tenant__secret", "severity__regex": ".*"})

    assert client.get(f"/sample?{query.urlencode()}").content == plain
