"""Where a call may go: the corpus of destinations, and the lists that open private networks (SEC-01, SEC-02)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.outbound import (
    Outbound,
    OutboundPolicy,
    OutboundRequest,
    Refused,
    is_public,
    read_destination,
    resolve_and_check,
)
from tests.security.servers import LOOPBACK, OPEN, Listener, answering, listening, ok

CORPUS = Path(__file__).with_name("urls.txt")
OWN = (("own-database.test", 5432), ("93.184.216.41", 6379), ("127.0.0.1", 5432))
#: what a request from outside meets: plain HTTP is allowed, so that the address decides and not the scheme
CLOSED = OutboundPolicy(allow_http=True, denied_endpoints=OWN, deployment_networks=LOOPBACK)


@dataclass(frozen=True)
class Row:
    verdict: str
    url: str
    answers: tuple[str, ...]


def _corpus() -> list[Row]:
    rows = []
    for line in CORPUS.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            verdict, url, *answers = line.split("\t")
            rows.append(
                Row(verdict, url.encode().decode("unicode_escape"), tuple(answers[0].split(",") if answers else ()))
            )
    return rows


@dataclass
class NameServer:
    """Answers every name with the next of the lists of addresses; an empty one means that there is no such name."""

    lists: Sequence[Sequence[str]]
    asked: int = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        answer = self.lists[min(self.asked, len(self.lists) - 1)]
        self.asked += 1
        if not answer:
            raise OSError("no such name")
        return answer


@contextlib.asynccontextmanager
async def _canaries() -> AsyncIterator[tuple[Listener, Listener]]:
    async with listening() as four, listening(host="::1", port=four.port) as six:
        yield four, six


def test_the_corpus_has_what_it_promises() -> None:
    rows = _corpus()
    assert len(rows) > 220
    assert {row.verdict for row in rows} == {"allowed", "destination_refused", "scheme_refused", "dns_failed"}
    assert len({(row.url, row.answers) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    "row", [row for row in _corpus() if row.verdict != "allowed"], ids=lambda row: ascii(row.url[:60])
)
async def test_a_destination_of_the_corpus_is_refused_and_nobody_is_reached(row: Row) -> None:
    async with _canaries() as (four, six):
        client = Outbound(resolver=NameServer([row.answers]))
        request = OutboundRequest("GET", row.url.replace("{port}", str(four.port)), CLOSED)
        with pytest.raises(Refused) as caught:
            await client.send(request)
        assert caught.value.code == row.verdict
        assert (four.connections, six.connections) == (0, 0)


@pytest.mark.parametrize("row", [row for row in _corpus() if row.verdict == "allowed"], ids=lambda row: row.url[:60])
async def test_a_public_destination_of_the_corpus_is_allowed(row: Row) -> None:
    destination = read_destination(row.url, allow_http=True)
    addresses = await resolve_and_check(destination.host, destination.port, CLOSED, resolver=NameServer([row.answers]))
    assert addresses
    assert all(map(is_public, addresses))


@pytest.mark.parametrize("row", [row for row in _corpus() if row.verdict == "allowed"], ids=lambda row: row.url[:60])
def test_an_absolute_path_does_not_change_the_host(row: Row) -> None:
    host = read_destination(row.url, allow_http=True).host
    assert read_destination(row.url.rstrip("/") + "//127.0.0.1/x", allow_http=True).host == host


async def test_plain_http_needs_permission() -> None:
    with pytest.raises(Refused) as caught:
        await Outbound().send(OutboundRequest("GET", "http://93.184.216.34/"))
    assert caught.value.code == "scheme_refused"


@pytest.mark.parametrize(
    ("connection", "deployment", "is_reached"),
    [((), (), False), (LOOPBACK, (), False), ((), LOOPBACK, False), (("127.0.0.1/32",), LOOPBACK, True),
     (LOOPBACK, ("127.0.0.1",), True), (("10.0.0.0/8",), LOOPBACK, False), (("no network",), LOOPBACK, False)],
)  # fmt: skip
async def test_loopback_needs_both_lists(
    connection: tuple[str, ...], deployment: tuple[str, ...], is_reached: bool
) -> None:
    policy = OutboundPolicy(connection, deployment, allow_http=True)
    async with listening(answering(ok())) as server:
        with contextlib.nullcontext() if is_reached else pytest.raises(Refused):
            await Outbound().send(OutboundRequest("GET", server.url(), policy))
        assert server.connections == is_reached


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.1", "fe80::1"]
)
async def test_some_addresses_are_denied_whatever_the_lists_say(address: str) -> None:
    everything = ("0.0.0.0/0", "::/0")
    with pytest.raises(Refused, match="never called"):
        await resolve_and_check(address, 443, OutboundPolicy(everything, everything))


async def test_a_wrapped_address_is_judged_as_what_it_holds_by_the_lists_too() -> None:
    policy = OutboundPolicy(("10.0.0.0/8",), ("10.0.0.0/8",))
    assert await resolve_and_check("::ffff:10.1.2.3", 443, policy)
    with pytest.raises(Refused):
        await resolve_and_check("::ffff:192.168.1.1", 443, policy)


async def test_one_address_and_port_can_be_allowed_exactly() -> None:
    async with listening(answering(ok())) as demo, listening(answering(ok())) as other:
        policy = OutboundPolicy(allow_http=True, exact_endpoints=(("127.0.0.1", demo.port),))
        client = Outbound()
        assert (await client.send(OutboundRequest("GET", demo.url(), policy))).status == 200
        for url in (other.url(), demo.url(host="127.0.0.2"), demo.url(host="[::1]")):
            with pytest.raises(Refused):
                await client.send(OutboundRequest("GET", url, policy))
        assert other.connections == 0
        await client.aclose()


@pytest.mark.parametrize("denied", ["127.0.0.1", "127.0.0.53", "::1", "0.0.0.0", "::", "database.test"])
async def test_our_own_endpoints_are_denied_under_every_address_of_theirs(denied: str) -> None:
    names = NameServer([["127.0.0.1"]])
    async with listening(answering(ok())) as own, listening(answering(ok())) as other:
        policy = replace(OPEN, denied_endpoints=((denied, own.port),), exact_endpoints=(("127.0.0.1", own.port),))
        client = Outbound(resolver=names)
        for host in ("127.0.0.1", "[::ffff:127.0.0.1]", "database.test", "alias.test"):
            with pytest.raises(Refused, match="our own") as caught:
                await client.send(OutboundRequest("GET", own.url(host=host), policy))
            assert caught.value.code == "destination_refused"
        assert (await client.send(OutboundRequest("GET", other.url(), policy))).status == 200
        assert own.connections == 0
        await client.aclose()


async def test_a_name_is_looked_up_once_for_an_attempt_and_again_for_the_next() -> None:
    names = NameServer([["127.0.0.1"], ["127.0.0.1"], ["10.0.0.1"]])
    async with listening(answering(ok(), then_close=True)) as server:
        client = Outbound(resolver=names)
        request = OutboundRequest("GET", server.url(host="rebinding.test"), OPEN)
        for lookups in (1, 2):
            assert (await client.send(request)).status == 200
            assert names.asked == lookups
        with pytest.raises(Refused) as caught:
            await client.send(request)
        assert caught.value.code == "destination_refused"
        assert server.connections == 2


async def test_an_answer_that_alternates_never_reaches_the_bad_address() -> None:
    """The first look-up says a public address, the second our own machine: the second is judged, not trusted."""
    names = NameServer([["93.184.216.34"], ["127.0.0.1"]])
    async with listening() as canary:
        closed = OutboundPolicy(allow_http=True)
        assert await resolve_and_check("rebinding.test", canary.port, closed, resolver=names)
        with pytest.raises(Refused):
            await Outbound(resolver=names).send(OutboundRequest("GET", canary.url(host="rebinding.test"), closed))
        assert canary.connections == 0


async def test_a_kept_connection_is_not_used_for_a_name_that_now_leads_elsewhere() -> None:
    names = NameServer([["127.0.0.1"], ["127.0.0.2"]])
    async with (
        listening(answering(ok(b"one"))) as one,
        listening(answering(ok(b"two")), host="127.0.0.2", port=one.port),
    ):
        client = Outbound(resolver=names)
        request = OutboundRequest("GET", one.url(host="moved.test"), OPEN)
        assert [(await client.send(request)).text for _ in range(2)] == ["one", "two"]
        await client.aclose()


async def test_a_name_that_resolves_only_on_the_second_try_is_called_then() -> None:
    names = NameServer([[], ["127.0.0.1"]])
    async with listening(answering(ok())) as server:
        client = Outbound(resolver=names)
        request = OutboundRequest("GET", server.url(host="slow.test"), OPEN)
        with pytest.raises(Refused) as caught:
            await client.send(request)
        assert caught.value.code == "dns_failed"
        assert (await client.send(request)).status == 200
        await client.aclose()


async def test_the_second_address_is_tried_when_the_first_does_not_answer() -> None:
    async with listening(answering(ok())) as server:
        client = Outbound(resolver=NameServer([["127.0.0.9", "127.0.0.1"]]))
        assert (await client.send(OutboundRequest("GET", server.url(host="two.test"), OPEN))).status == 200
        await client.aclose()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"])
async def test_proxies_of_the_environment_are_ignored(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as proxy, listening(answering(ok())) as server:
        monkeypatch.setenv(name, proxy.url())
        client = Outbound()
        assert (await client.send(OutboundRequest("GET", server.url(), OPEN))).status == 200
        assert proxy.connections == 0
        await client.aclose()


async def test_a_netrc_file_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password canary")
    os.chmod(tmp_path / ".netrc", 0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with listening(answering(ok())) as server:
        client = Outbound()
        await client.send(OutboundRequest("GET", server.url(), OPEN))
        assert b"authorization" not in server.requests[0].lower()
        await client.aclose()


async def test_the_host_header_cannot_be_overridden() -> None:
    async with listening(answering(ok())) as server:
        client = Outbound(resolver=NameServer([["127.0.0.1"]]))
        request = OutboundRequest("GET", server.url(host="Named.test"), OPEN, headers=(("HOST", "internal.test"),))
        await client.send(request)
        hosts = [line for line in server.requests[0].lower().split(b"\r\n") if line.startswith(b"host:")]
        assert hosts == [f"host: named.test:{server.port}".encode()]
        await client.aclose()
