from __future__ import annotations

import pytest
from django.test import Client
from django.urls import path

from api import checks
from api.checks import undeclared
from api.routing import routes
from tests.api.sample import Things, Undeclared, urlpatterns


def test_every_verb_without_a_permission_stops_the_start() -> None:
    found = [str(error.msg) for error in undeclared(urlpatterns)]

    assert found == [
        "DELETE /sample/undeclared declares no known permission.",
        "DELETE /sample/undeclared/ declares no known permission.",
    ]


def test_a_view_of_another_make_counts_as_undeclared() -> None:
    def bare(request: object) -> None:
        return None

    assert len(list(undeclared([path("bare", bare)]))) == 1  # type: ignore[arg-type]


def test_a_permission_that_does_not_exist_counts_as_undeclared() -> None:
    class Misspelt(Things):
        permissions = {"GET": "playbook:read", "POST": "playbooks:write"}

    assert len(list(undeclared(routes({"/misspelt": Misspelt})))) == 2


def test_an_undeclared_verb_is_closed_even_to_an_administrator(client: Client) -> None:
    assert client.get("/sample/undeclared").status_code == 200
    assert client.delete("/sample/undeclared").status_code == 403


def test_all_routes_that_are_served_declare_theirs() -> None:
    assert checks.every_route_declares_its_permission() == []


@pytest.mark.parametrize("printed", ["sample", "/sample/"])
def test_a_path_that_is_not_printed_as_contracts_print_it_is_refused(printed: str) -> None:
    with pytest.raises(ValueError, match="slash"):
        routes({printed: Undeclared})
