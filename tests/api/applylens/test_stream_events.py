"""GET /api/sse/events and POST /api/sse/token, on a server of its own."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
import redis
from django.conf import settings
from django.core import signing
from django.utils import timezone

from accounts.models import ApiKey, Tenant
from api.applylens.tokens import LIFETIME
from incidents import events
from incidents.models import IncidentEvent
from incidents.selectors import MOST_REPLAYED
from incidents.services import move_incident, report_incidents
from incidents.services.tidying import forget_old
from tests.api.applylens.calls import DETECTOR, Api, caller_of, make, read, refused
from tests.api.applylens.watching import Stream
from tests.api.stream.serving import LONG, StreamServer
from tests.flows.starting import make_tenant

Open = Callable[..., Stream]


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return make_tenant()


@pytest.fixture
def other_tenant(transactional_db: None) -> Tenant:
    return make_tenant()


@pytest.fixture
def open_stream(stream_server: StreamServer, transactional_db: None) -> Open:
    return partial(Stream, stream_server)


def acknowledge(tenant: Tenant, number: int) -> None:
    move_incident(tenant=tenant, number=number, verb="acknowledge", actor=DETECTOR, now=timezone.now())


def tell(tenant: Tenant, count: int, *, size: int = 0) -> None:
    told = [
        events.Told("action_executed", {"incident_id": 1, "action_id": number, "action_type": "x" * size, "status": ""})
        for number in range(1, count + 1)
    ]
    events.record(tenant.id, told, at=timezone.now())


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*", "application/json"])
def test_a_stream_begins_with_its_subscriber(open_stream: Open, api: Api, accept: str) -> None:
    with open_stream(api.key, Accept=accept) as stream:
        frame = stream.next()

    assert stream.status == 200
    assert stream.headers["Content-Type"] == "text/event-stream"
    assert (stream.headers["Cache-Control"], stream.headers["X-Accel-Buffering"]) == ("no-cache", "no")
    assert stream.headers["X-RateLimit-Limit"] == "1000"
    assert (frame.event, frame.order) == ("connected", ("event", "data"))
    assert frame.data.keys() == {"subscriber_id", "timestamp"}


def test_it_says_that_it_lives(open_stream: Open, api: Api) -> None:
    with open_stream(api.key) as stream:
        stream.next("connected")
        frame = stream.next("heartbeat")

    assert frame.data.keys() == {"timestamp"}
    assert frame.order == ("event", "data")
    assert timedelta(seconds=30) >= settings.SALLYPORT_STREAM_HEARTBEAT


def test_what_another_process_does_reaches_the_tenants_subscribers_only(
    open_stream: Open, api: Api, stranger: Api, tenant: Tenant, other_tenant: Tenant
) -> None:
    with open_stream(api.key) as stream, open_stream(stranger.key) as foreign:
        stream.next("connected")
        foreign.next("connected")
        incident = make(tenant)
        acknowledge(tenant, incident.pk)
        made, updated = stream.next(), stream.next()
        theirs = make(other_tenant)
        assert foreign.next().data["id"] == theirs.pk

    assert made.event == "incident_created"
    assert made.data.keys() == {"id", "kind", "severity", "status", "summary", "created_at"}
    assert (updated.event, updated.order) == ("incident_updated", ("event", "data", "id"))
    assert updated.data == {
        "id": incident.pk, "status": "acknowledged", "acknowledged_by": "detector", "change": "acknowledged",
    }  # fmt: skip
    assert (made.id, updated.id) == (1, 2)


def test_what_was_missed_is_told_in_order(open_stream: Open, api: Api, tenant: Tenant) -> None:
    tell(tenant, 250)

    with open_stream(api.key, Last_Event_ID="7") as stream:
        assert "resync" not in stream.next("connected").data
        numbers = [stream.next().id for _ in range(243)]
        tell(tenant, 1)
        numbers.append(stream.next().id)

    assert numbers == list(range(8, 252))


def test_nothing_is_told_twice_to_one_that_missed_nothing(open_stream: Open, api: Api, tenant: Tenant) -> None:
    tell(tenant, 3)

    with open_stream(api.key, Last_Event_ID="3") as stream:
        assert "resync" not in stream.next("connected").data
        tell(tenant, 1)
        assert stream.next().id == 4


def test_one_that_missed_too_much_is_told_to_list_again(open_stream: Open, api: Api, tenant: Tenant) -> None:
    tell(tenant, MOST_REPLAYED + 5)

    with open_stream(api.key, Last_Event_ID="1") as stream:
        assert stream.next("connected").data["resync"] is True
        assert stream.next().id == 6


def test_so_is_one_that_was_away_too_long(open_stream: Open, api: Api, tenant: Tenant) -> None:
    tell(tenant, 3)
    IncidentEvent.objects.filter(tenant=tenant, number=2).update(at=timezone.now() - timedelta(minutes=61))

    with open_stream(api.key, Last_Event_ID="1") as stream:
        assert stream.next("connected").data["resync"] is True
        assert stream.next().id == 3
    with open_stream(api.key, Last_Event_ID="2") as stream:
        assert "resync" not in stream.next("connected").data
    IncidentEvent.objects.filter(tenant=tenant).update(at=timezone.now() - timedelta(hours=3))
    assert forget_old() == 3
    with open_stream(api.key, Last_Event_ID="1") as stream:
        assert stream.next("connected").data["resync"] is True
        tell(tenant, 1)
        assert stream.next().id == 4


def test_an_id_from_the_future_is_told_to_list_again(open_stream: Open, api: Api, tenant: Tenant) -> None:
    with open_stream(api.key, Last_Event_ID="900") as stream:
        assert stream.next("connected").data["resync"] is True
        tell(tenant, 1)
        assert stream.next().id == 1


@pytest.mark.parametrize("given", ["abc", "-1", "1.0", str(2**70), "1" * 5_000])
def test_so_is_an_id_that_is_none(open_stream: Open, api: Api, tenant: Tenant, given: str) -> None:
    tell(tenant, 3)

    with open_stream(api.key, Last_Event_ID=given) as stream:
        assert stream.status == 200
        assert stream.next("connected").data["resync"] is True
        tell(tenant, 1)
        assert stream.next().id == 4


def test_without_credentials_it_is_a_401(open_stream: Open, tenant: Tenant) -> None:
    with open_stream() as stream:
        assert stream.status == 401
        assert stream.headers["WWW-Authenticate"] == "Bearer"
        assert stream.body()["error"]["code"] == "unauthorized"
    with open_stream(path="/api/sse/events?token=wrong") as stream:
        assert stream.status == 401


def test_without_the_permission_it_is_a_403(open_stream: Open, tenant: Tenant) -> None:
    with open_stream(caller_of(tenant, "api_service").key) as stream:
        assert stream.status == 403


def test_a_key_or_a_stream_token_in_the_query_opens_it(open_stream: Open, viewer: Api, tenant: Tenant) -> None:
    found = read(viewer.post("/api/sse/token"))
    assert found.keys() == {"token", "expires_at"}
    assert found["expires_at"].endswith("Z")

    for token in (viewer.key, found["token"], found["token"]):
        with open_stream(path=f"/api/sse/events/?token={token}") as stream:
            assert stream.next().event == "connected"


def test_a_stream_token_is_good_for_nothing_else(api: Api) -> None:
    token = read(api.post("/api/sse/token"))["token"]

    refused(Api(token).get("/api/incidents"), 401, "unauthorized")
    refused(Api().get(f"/api/incidents?token={token}"), 401, "unauthorized")
    refused(Api(token).post("/api/sse/token"), 401, "unauthorized")


def test_a_stream_token_is_good_for_a_minute(
    open_stream: Open, api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, token = time.time(), read(api.post("/api/sse/token"))["token"]
    with monkeypatch.context() as earlier:
        earlier.setattr("django.core.signing.time.time", lambda: now - LIFETIME.total_seconds() - 1)
        old = read(api.post("/api/sse/token"))["token"]

    with open_stream(path=f"/api/sse/events?token={token}") as stream:
        stream.next("connected")
        with open_stream(path=f"/api/sse/events?token={old}") as late:
            assert late.status == 401
        with open_stream(path=f"/api/sse/events?token={token}x") as forged:
            assert forged.status == 401
        tell(tenant, 1)
        assert stream.next().id == 1
    assert timedelta(seconds=60) == LIFETIME
    with pytest.raises(signing.BadSignature):
        signing.loads(token)


def test_a_stream_ends_soon_after_its_key_is_revoked(open_stream: Open, api: Api, tenant: Tenant) -> None:
    token = read(api.post("/api/sse/token"))["token"]
    with open_stream(path=f"/api/sse/events?token={token}") as stream:
        stream.next("connected")
        ApiKey.objects.filter(tenant=tenant).update(revoked_at=timezone.now())
        began = time.monotonic()
        while stream.read() is not None:
            assert time.monotonic() - began < LONG
    assert time.monotonic() - began < 5
    with open_stream(path=f"/api/sse/events?token={token}") as stream:
        assert stream.status == 401


def _open_places(tenant: Tenant) -> int:
    client = redis.Redis.from_url(settings.REDIS_URL)
    names = list(client.scan_iter(f"*{{streams}}:tenant:{tenant.id}"))
    return sum(int(client.zcard(name)) for name in names)


def _until(is_so: Callable[[], bool], seconds: float = LONG) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_client_that_leaves_is_no_subscriber_any_more(open_stream: Open, api: Api, tenant: Tenant) -> None:
    with open_stream(api.key) as stream:
        stream.next("connected")
        assert _open_places(tenant) == 1
    _until(lambda: _open_places(tenant) == 0, seconds=10)


def test_a_client_that_never_reads_is_dropped_and_delays_nobody(
    stream_server: StreamServer, open_stream: Open, api: Api, tenant: Tenant
) -> None:
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", stream_server.port))
    head = f"GET /api/sse/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {api.key}\r\n\r\n"
    deaf.sendall(head.encode())
    _until(lambda: _open_places(tenant) == 1)

    with open_stream(api.key) as stream:
        stream.next("connected")
        for _ in range(10):
            tell(tenant, 100, size=10_000)
        assert [stream.next().id for _ in range(1000)] == list(range(1, 1001))
        _until(lambda: _open_places(tenant) == 1)
        stream_server.wait_for_line("its client does not read")
    deaf.close()


def test_one_persons_streams_are_limited(open_stream: Open, api: Api) -> None:
    opened = [open_stream(api.key) for _ in range(20)]
    try:
        with open_stream(api.key) as stream:
            assert stream.status == 429
            assert stream.headers["Retry-After"] == "15"
            assert stream.body()["error"]["code"] == "rate_limited"
    finally:
        for one in opened:
            one.__exit__(None, None, None)


def test_numbers_are_committed_in_their_order(tenant: Tenant) -> None:
    """Made in bulk and one by one, numbers have no hole and no repetition."""
    from incidents.engine.finding import Finding

    findings = [Finding("gate", f"k{number}", "sev3", "s") for number in range(50)]
    report_incidents(tenant=tenant, findings=findings, actor=DETECTOR, now=timezone.now())
    make(tenant)
    assert list(IncidentEvent.objects.filter(tenant=tenant).order_by("number").values_list("number", flat=True)) == [
        *range(1, 52)
    ]


def test_head_and_other_verbs(stream_server: StreamServer, api: Api) -> None:
    response = api.send("HEAD", "/api/sse/events")
    assert (response.status_code, response.content) == (200, b"")
    response = api.post("/api/sse/events")
    refused(response, 405, "method_not_allowed")
    assert response["Allow"] == "GET, HEAD"
