from __future__ import annotations

import logging

import pytest
from django.db import InternalError, connection
from django.test import Client

from api.errors import problem_of
from core.errors import DomainError


@pytest.mark.parametrize(
    ("what", "status", "code", "reason", "message"),
    [
        ("invalid", 422, "validation_error", "invalid", "No."),
        ("missing", 404, "not_found", "not_found", "Gone."),
        ("conflict", 409, "conflict", "conflict", "Busy."),
        ("forbidden", 403, "forbidden", "forbidden", "Hands off."),
        ("limit", 429, "rate_limited", "limit_reached", "Full."),
        ("unavailable", 503, "unavailable", "unavailable", "Down."),
        ("http404", 404, "not_found", "not_found", "Not found."),
    ],
)
def test_each_kind_of_error_has_its_status_and_words(
    stranger: Client, db: None, what: str, status: int, code: str, reason: str, message: str
) -> None:
    answer = stranger.get(f"/sample/raising/{what}")

    assert answer.status_code == status
    assert (answer.json()["code"], answer.json()["reason"], answer.json()["message"]) == (code, reason, message)


def test_a_limit_and_an_outage_say_when_to_come_back(stranger: Client, db: None) -> None:
    assert stranger.get("/sample/raising/limit")["Retry-After"] == "7"
    assert stranger.get("/sample/raising/unavailable")["Retry-After"] == "3"


def test_an_unreachable_database_is_503_and_names_no_address(stranger: Client, db: None) -> None:
    answer = stranger.get("/sample/raising/database")

    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert b"10.0.0.1" not in answer.content


def test_a_bug_is_500_in_the_familys_words_logged_once_and_not_told(
    stranger: Client, db: None, caplog: pytest.LogCaptureFixture
) -> None:
    answer = stranger.get("/sample/raising/bug")

    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert b"secret detail" not in answer.content
    assert b"Traceback" not in answer.content
    failures = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(failures) == 1
    assert failures[0].exc_info


@pytest.mark.django_db(transaction=True)
def test_a_value_that_only_postgresql_refuses_is_the_inputs_fault(stranger: Client) -> None:
    assert stranger.get("/sample/raising/data").status_code == 422


def test_a_bug_is_no_problem() -> None:
    assert problem_of(KeyError("x")) is None
    assert problem_of(DomainError("of no kind")) is None


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "BREW", "TRACE"])
def test_a_method_the_path_does_not_know_is_405_with_what_it_knows(client: Client, method: str) -> None:
    answer = client.generic(method, "/sample", b"{}", content_type="application/json")

    assert answer.status_code == 405
    assert answer["Allow"] == "GET, HEAD, POST"
    assert answer.json()["code"] == "method_not_allowed"


def test_a_method_override_is_not_listened_to(client: Client) -> None:
    headers = {"x-http-method-override": "DELETE", "x-original-url": "/admin/"}

    assert client.get("/sample", headers=headers).json()["tenant"] == "acme"


def test_head_has_the_status_of_get_and_no_body(client: Client) -> None:
    answer = client.head("/sample")

    assert answer.status_code == 200
    assert answer.content == b""


def test_options_says_only_what_is_allowed(client: Client) -> None:
    answer = client.options("/sample")

    assert (answer.status_code, answer.content, answer["Allow"]) == (200, b"", "GET, HEAD, POST")


@pytest.mark.parametrize("thing", ["%00", "%0a", "a%0d%0ab", "%1b", "%7f"])
def test_control_characters_in_an_id_are_not_found(client: Client, thing: str) -> None:
    assert client.get(f"/sample/things/{thing}").status_code == 404


def test_nul_in_the_query_is_refused(client: Client) -> None:
    assert client.get("/sample?search=a%00b").status_code == 422
    assert client.get("/sample?a%00=b").status_code == 422


def test_a_path_answers_with_and_without_a_slash_and_never_redirects(client: Client) -> None:
    assert client.get("/sample").content == client.get("/sample/").content
    assert client.post("/sample/", b'{"name":"x"}', content_type="application/json").status_code == 201
    assert client.get("/sample//").status_code == 404
    assert client.get("/Sample").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_a_read_only_database_is_an_outage_and_another_internal_error_a_bug() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        with pytest.raises(InternalError) as refused:
            cursor.execute("CREATE TABLE refused (id int)")
    connection.close()

    found = problem_of(refused.value)
    assert found is not None
    assert (found.status, found.retry_after) == (503, 5)
    assert problem_of(InternalError("something else")) is None
