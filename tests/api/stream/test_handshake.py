"""Who may open a stream, and that the answer to everybody else is a close code (RULINGS 25, SEC-32)."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import Tenant
from accounts.services import change_role, deactivate_user, revoke_api_key
from core.actors import SYSTEM
from executions.models import Execution
from tests.api.stream.serving import StreamServer, read, read_to_end
from tests.api.stream.watching import Key, make_key, path_of, seqs_of, start_sequence
from tests.flows.driving import drive

Start = Callable[..., Execution]


@pytest.mark.parametrize("how", ["Authorization", "X-API-Key", "token"])
def test_a_key_is_taken_from_each_of_the_three_places(server: StreamServer, key: str, start: Start, how: str) -> None:
    execution = drive(start())
    headers = {"Authorization": {"Authorization": f"bearer {key}"}, "X-API-Key": {"X-API-Key": key}, "token": {}}[how]
    query = f"?after=0&token={key}" if how == "token" else ""
    with server.open(path_of(execution) + query, headers=headers) as client:
        assert read_to_end(client).seqs == seqs_of(execution)


@pytest.mark.parametrize("path", ["/ws/stream", "/ws/executions/{id}"])
@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, ""),
        ({"Authorization": "Bearer nonsense"}, ""),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, ""),
        ({"X-API-Key": ""}, ""),
        ({"X-API-Key": "k" * 5000}, ""),
        ({"Cookie": "token={key}"}, ""),
        ({"X-API-Key": "{key}", "Authorization": "Bearer another"}, ""),
        ({}, "?token="),
        ({}, "?token=%00"),
        ({}, "?token={key}&token=another"),
    ],
)
def test_without_one_good_key_the_stream_closes_with_4401(
    server: StreamServer, key: str, start: Start, path: str, headers: dict[str, str], query: str
) -> None:
    execution = start()
    filled = {name: value.format(key=key) for name, value in headers.items()}
    refused = server.refusal(path.format(id=execution.id) + query.format(key=key), headers=filled)
    assert refused == (4401, "Credentials are missing or not valid.")


@pytest.mark.parametrize("path", ["/ws/stream", "/ws/executions/{id}"])
@pytest.mark.parametrize(("role", "scopes"), [("api_service", ()), ("admin", ("cases:read",))])
def test_without_the_permission_it_closes_with_4403(
    server: StreamServer, tenant: Tenant, start: Start, path: str, role: str, scopes: tuple[str, ...]
) -> None:
    execution = start()
    key = make_key(tenant, role=role, scopes=scopes).text
    refused = server.refusal(path.format(id=execution.id), key)
    assert refused == (4403, "This needs the permission playbooks:read.")


def test_anothers_execution_is_refused_like_one_that_does_not_exist(
    server: StreamServer, key: str, stranger: Tenant, start: Start
) -> None:
    foreign = start_sequence(stranger)
    forms = [str(foreign.id), f"pexec-{foreign.number}", str(uuid4()), "pexec-999999999", "pexec-" + "9" * 18]
    forms += [f"tenant.{stranger.id}", "*", "%2A", "pexec-1x", "exec-1", "x" * 200, "a%00b", "%0A", "pexec-" + "9" * 19]
    refused = {server.refusal(f"/ws/executions/{form}?after=0", key) for form in forms}
    assert refused == {(4404, "There is no such execution.")}


@pytest.mark.parametrize(
    "path", ["/", "/ws", "/ws/streams", "/ws/executions", "/api/playbooks", "/ws/stream/more?token=x"]
)
def test_a_path_without_a_stream_closes_with_4404_and_leaves_no_trace(
    server: StreamServer, key: str, path: str
) -> None:
    assert server.refusal(path, key) == (4404, "There is no such stream.")
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("origin", "is_taken"),
    [
        ("https://wall.example.org", True),
        ("http://127.0.0.1:{port}", True),
        ("http://127.0.0.1:1", False),
        ("https://evil.example.org", False),
        ("https://wall.example.org.evil.example", False),
        ("null", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_browsers_come_from_our_own_page_or_a_listed_origin(
    server: StreamServer, key: str, start: Start, origin: str, is_taken: bool
) -> None:
    execution = drive(start())
    headers = {"Origin": origin.format(port=server.port)}
    with server.open(path_of(execution), key, headers=headers) as client:
        told = read_to_end(client)
    assert (told.code, bool(told.frames)) == ((1000, True) if is_taken else (4403, False))


def revoke(key: Key) -> None:
    revoke_api_key(key=key.row, now=timezone.now())


def demote(key: Key) -> None:
    change_role(user=key.owner, role="api_service", by=SYSTEM)


def deactivate(key: Key) -> None:
    deactivate_user(user=key.owner)


@pytest.mark.parametrize(("change", "code"), [(revoke, 4401), (demote, 4403), (deactivate, 4401)])
def test_a_key_that_loses_its_right_loses_its_streams_within_five_seconds(
    server: StreamServer, tenant: Tenant, start: Start, change: Callable[[Key], None], code: int
) -> None:
    key = make_key(tenant)
    execution = start()
    with server.open(path_of(execution), key.text) as one, server.open("/ws/stream", key.text) as other:
        read(one, len(seqs_of(execution)))
        change(key)
        since = time.monotonic()
        assert [read_to_end(client).code for client in (one, other)] == [code, code]
        assert time.monotonic() - since < 5


def test_keys_never_reach_the_log(server: StreamServer, key: str, start: Start) -> None:
    execution = drive(start())
    with server.open(path_of(execution, after=0, more=f"&token={key}")) as client:
        read_to_end(client)
    server.refusal(f"/ws/executions/{uuid4()}?token={key}")
    server.refusal(f"/nothing?token={key}")
    server.refusal("/ws/stream?token=a-wrong-key")

    server.wait_for_line(f"/ws/executions/{execution.id}")
    assert "token" not in server.log
    assert key not in server.log
