"""The one HTTP client: what was sent when it fails, hostile answers, redirects, TLS (SEC-03, SEC-05, SEC-06)."""

from __future__ import annotations

import asyncio
import gzip
import time
import tracemalloc
import zlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.outbound import BadAnswer, NoAnswer, Outbound, OutboundRequest, Refused, shared_outbound
from tests.security.servers import (
    OPEN,
    Behaviour,
    Listener,
    answering,
    listening,
    ok,
    sending_for_ever,
    waiting_for_ever,
)

MEGABYTE = 1024 * 1024
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SHORT = timedelta(milliseconds=400)


def _get(server: Listener, path: str = "/", **more: Any) -> OutboundRequest:
    return replace(OutboundRequest("GET", server.url(path), OPEN), **more)


async def test_an_answer_is_read_whole() -> None:
    answer = ok("gr\u00fcn".encode("latin-1"), "Content-Type: text/plain; charset=ISO-8859-1", "X-A: 1", "x-a: 2")
    async with listening(answering(answer)) as server:
        client = Outbound()
        response = await client.send(
            OutboundRequest("post", server.url("/a%2Fb?c=%20"), OPEN, headers=(("X-Key", "k1"),), body=b"body")
        )
        assert (response.status, response.text, response.headers["x-a"]) == (200, "gr\u00fcn", "1, 2")
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /a%2Fb?c=%20 HTTP/1.1\r\n")
        assert {b"X-Key: k1", b"content-length: 4"} <= set(head.split(b"\r\n"))
        assert body == b"body"
        await client.aclose()


async def test_connections_are_kept_and_shared_only_within_a_pool() -> None:
    async with listening(answering(ok())) as server:
        client = Outbound()
        for _ in range(5):
            await client.send(_get(server))
        assert server.connections == 1
        await client.send(_get(server, pool="another connection"))
        assert server.connections == 2
        await client.aclose()


async def test_many_requests_at_once_each_have_a_connection_of_their_own() -> None:
    async with listening(answering(ok())) as server:
        client = Outbound()
        responses = await asyncio.gather(*(client.send(_get(server, f"/{number}")) for number in range(50)))
        assert [response.status for response in responses] == [200] * 50
        assert len(server.requests) == 50
        await client.aclose()


async def test_a_kept_connection_that_the_far_side_closed_is_not_used_again() -> None:
    async with listening(answering(ok(), then_close=True)) as server:
        client = Outbound()
        for _ in range(3):
            assert (await client.send(_get(server))).status == 200
            await asyncio.sleep(0.01)
        await client.aclose()


async def test_one_client_serves_one_event_loop() -> None:
    assert shared_outbound() is shared_outbound()
    other: list[Outbound] = []

    async def there() -> None:
        other.append(shared_outbound())

    await asyncio.to_thread(asyncio.run, there())
    assert other[0] is not shared_outbound()


# What was sent


async def test_the_right_to_send_is_asked_for_right_before_the_first_octet() -> None:
    async with listening(answering(ok())) as server:
        client = Outbound()
        with pytest.raises(Refused) as caught:
            await client.send(_get(server, before_send=lambda: False))
        assert caught.value.code == "lease_lost"
        assert server.requests == []
        asked: list[int] = []

        def may_send() -> bool:
            asked.append(len(server.requests))
            return True

        await client.send(_get(server, before_send=may_send))
        assert asked == [0]
        await client.aclose()


async def test_a_closed_port_is_refused_as_connect_failed() -> None:
    async with listening() as server:
        pass
    with pytest.raises(Refused) as caught:
        await Outbound().send(_get(server))
    assert caught.value.code == "connect_failed"


async def test_a_time_limit_before_the_first_octet_says_that_nothing_was_sent() -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    began = time.monotonic()
    with pytest.raises(Refused) as caught:
        await Outbound(resolver=never).send(OutboundRequest("GET", "https://slow.test/", time_limit=SHORT))
    assert caught.value.code == "timeout_before_send"
    assert time.monotonic() - began < SHORT.total_seconds() + 10


async def test_a_tls_handshake_that_hangs_says_that_nothing_was_sent() -> None:
    async with listening(waiting_for_ever) as server:
        with pytest.raises(Refused) as caught:
            await Outbound().send(OutboundRequest("GET", server.url(scheme="https"), OPEN, time_limit=SHORT))
        assert caught.value.code == "timeout_before_send"


UNANSWERED: dict[str, Behaviour] = {
    "silence": waiting_for_ever,
    "cut": answering(b"", then_close=True),
    "half a head": answering(b"HTTP/1.1 200 OK\r\nContent-Le", then_close=True),
    "half a body": answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", then_close=True),
    "half a chunk": answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf", then_close=True),
    "bad chunks": answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", then_close=True),
    "another protocol": answering(b"SSH-2.0-OpenSSH_9.2p1\r\n", then_close=True),
    "one octet a moment": sending_for_ever(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n", b"x", pause=0.02),
    "a head a moment": sending_for_ever(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", pause=0.02),
    "endless 1xx": sending_for_ever(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", pause=0.001),
    "endless empty chunks of time": sending_for_ever(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"", pause=0.01
    ),
    "differing lengths": answering(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", then_close=True
    ),
}


@pytest.mark.parametrize("behaviour", UNANSWERED.values(), ids=UNANSWERED.keys())
async def test_a_request_without_a_whole_answer_may_have_been_sent(behaviour: Behaviour) -> None:
    async with listening(behaviour) as server:
        began = time.monotonic()
        with pytest.raises(NoAnswer):
            await Outbound().send(_get(server, time_limit=SHORT))
        assert time.monotonic() - began < SHORT.total_seconds() + 10
        assert len(server.requests) == 1


async def test_a_cancelled_request_leaves_no_connection_for_others() -> None:
    async with listening(waiting_for_ever) as server:
        client = Outbound()
        task = asyncio.create_task(client.send(_get(server)))
        while not server.requests:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not client._pool._idle


# Hostile answers


def _gzipped(body: bytes, *, encoding: str = "gzip", packed: bytes | None = None) -> bytes:
    return ok(gzip.compress(body) if packed is None else packed, f"Content-Encoding: {encoding}")


BAD: dict[str, Behaviour] = {
    "5 MiB": answering(ok(b"x" * 5 * MEGABYTE)),
    "5 GiB announced": answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5368709120\r\n\r\n"),
    "endless": sending_for_ever(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
    "endless chunks": sending_for_ever(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    "bomb 1:1000": answering(_gzipped(bytes(100 * MEGABYTE))),
    "bomb below 4 MiB": answering(_gzipped(bytes(3 * MEGABYTE))),
    "bomb of deflate": answering(_gzipped(b"", encoding="deflate", packed=zlib.compress(bytes(20 * MEGABYTE)))),
    "bomb in members": answering(_gzipped(b"", packed=gzip.compress(bytes(60_000)) * 2000)),
    "bomb in a bomb": answering(_gzipped(gzip.compress(bytes(MEGABYTE)), encoding="gzip, gzip")),
    "encoding that was not asked for": answering(_gzipped(b"x", encoding="br")),
    "no gzip": answering(ok(b"plain text", "Content-Encoding: gzip")),
    "cut gzip": answering(_gzipped(b"", packed=gzip.compress(b"text" * 99)[:-9])),
    "header of 70 KiB": answering(ok(b"", f"X-Long: {'a' * 70 * 1024}")),
    "many headers": answering(ok(b"", *(f"X-{number}: {'a' * 90}" for number in range(700)))),
    "switches protocol": answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("behaviour", BAD.values(), ids=BAD.keys())
async def test_an_answer_over_a_limit_is_a_bad_answer_and_costs_no_memory(behaviour: Behaviour) -> None:
    async with listening(behaviour) as server:
        client = Outbound()
        tracemalloc.start()
        try:
            with pytest.raises(NoAnswer) as caught:
                await client.send(_get(server, time_limit=timedelta(seconds=20)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 24 * MEGABYTE
        assert isinstance(caught.value, BadAnswer) or "Protocol" in caught.value.message


async def test_a_connection_that_was_left_in_the_middle_of_an_answer_is_not_used_again() -> None:
    async with listening(answering(ok(b"x" * 5 * MEGABYTE))) as server:
        client = Outbound()
        for count in (1, 2):
            with pytest.raises(BadAnswer):
                await client.send(_get(server))
            assert server.connections == count


async def test_a_header_of_a_megabyte_is_not_read_to_its_end() -> None:
    async with listening(answering(ok(b"", f"X-Long: {'a' * MEGABYTE}"))) as server:
        with pytest.raises(NoAnswer):
            await Outbound().send(_get(server))


GOOD: dict[str, tuple[bytes, bytes]] = {
    "empty": (ok(b""), b""),
    "4 MiB": (ok(b"x" * 4 * MEGABYTE), b"x" * 4 * MEGABYTE),
    "gzip": (_gzipped(b"text" * 100), b"text" * 100),
    "gzip in members": (_gzipped(b"", packed=gzip.compress(b"a") + gzip.compress(b"b")), b"ab"),
    "deflate": (_gzipped(b"", encoding="deflate", packed=zlib.compress(b"text")), b"text"),
    "deflate without a header": (_gzipped(b"", encoding="deflate", packed=zlib.compress(b"text", wbits=-15)), b"text"),
    "short and monotonous": (_gzipped(bytes(40_000)), bytes(40_000)),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"abc"),
    "after 100": (b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"late"), b"late"),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "body"), GOOD.values(), ids=GOOD.keys())
async def test_an_answer_within_the_limits_is_read(answer: bytes, body: bytes) -> None:
    async with listening(answering(answer)) as server:
        client = Outbound()
        assert (await client.send(_get(server))).body == body
        await client.aclose()


@pytest.mark.parametrize(
    "charset", ["utf-7", "punycode", "idna", "rot13", "zip", "unicode_escape", "klingon", "", "utf-8"]
)
async def test_text_that_cannot_be_read_is_replaced_and_no_odd_codec_is_used(charset: str) -> None:
    async with listening(answering(ok(b"a\xff+AGE-", f"Content-Type: text/plain; charset={charset}"))) as server:
        client = Outbound()
        assert (await client.send(_get(server))).text == "a\ufffd+AGE-"
        await client.aclose()


@pytest.mark.parametrize(
    "change",
    [
        {"headers": (("X-A", "b\r\nX-B: c"),)},
        {"headers": (("X-A", "b\nX-B: c"),)},
        {"headers": (("X-A", "b\0c"),)},
        {"headers": (("X A", "b"),)},
        {"headers": (("X-A:", "b"),)},
        {"headers": (("", "b"),)},
        {"headers": (("X-A", "\ud800"),)},
        {"method": "GET / HTTP/1.1\r\nX: y"},
        {"method": "CONNECT"},
        {"method": "TRACE"},
        {"method": ""},
    ],
    ids=ascii,
)
async def test_a_request_that_would_break_its_framing_is_not_sent(change: dict[str, Any]) -> None:
    async with listening(answering(ok())) as server:
        with pytest.raises(Refused) as caught:
            await Outbound().send(_get(server, **change))
        assert caught.value.code == "request_invalid"
        assert server.connections == 0


async def test_framing_headers_of_the_caller_fall_away() -> None:
    framing = (
        ("Content-Length", "99"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Expect", "100-continue"),
    )
    async with listening(answering(ok())) as server:
        client = Outbound()
        await client.send(_get(server, method="POST", body=b"abc", headers=framing))
        head = server.requests[0].lower()
        assert head.count(b"content-length") == 1
        assert not any(word in head for word in (b"chunked", b"connection:", b"expect"))
        await client.aclose()


# Redirects


class _Router:
    """A server whose answers may name its own port."""

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.routes: dict[str, bytes] = {}

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self.listener is not None
        path = self.listener.requests[-1].split(b" ")[1].decode()
        writer.write(self.routes.get(path, ok(b"end")))


def _to(location: str, status: str = "302 Found") -> bytes:
    return ok(b"", f"Location: {location}", status=status)


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
async def test_no_redirect_is_followed_unless_asked_for(status: str) -> None:
    async with listening(answering(_to("/there", status))) as server:
        client = Outbound()
        assert (await client.send(_get(server))).status == int(status[:3])
        assert len(server.requests) == 1
        await client.aclose()


ELSEWHERE = [
    "http://127.0.0.1:{canary}/",
    "http://localhost:{canary}/",
    "http://[::1]:{canary}/",
    "//127.0.0.1:{canary}/",
    "http://127.0.0.2:{own}/",
    "https://127.0.0.1:{own}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{canary}/",
    "http://user@127.0.0.1:{own}/",
    "/there#fragment",
    "\\\\127.0.0.1:{canary}\\",
    "http://169.254.169.254/latest/",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
@pytest.mark.parametrize("location", ELSEWHERE)
async def test_a_redirect_to_another_place_is_not_followed(location: str, status: str) -> None:
    router = _Router()
    async with listening(router) as server, listening() as canary:
        router.listener = server
        router.routes["/"] = _to(location.format(canary=canary.port, own=server.port), status)
        client = Outbound()
        request = _get(server, redirects=3, headers=(("Authorization", "Bearer canary"),))
        assert (await client.send(request)).status == int(status[:3])
        assert (canary.connections, len(server.requests)) == (0, 1)
        await client.aclose()


async def test_redirects_on_the_same_origin_are_followed_three_times_at_most() -> None:
    router = _Router()
    async with listening(router) as server:
        router.listener = server
        router.routes.update({f"/{number}": _to(f"/{number + 1}") for number in range(9)})
        client = Outbound()
        asked: list[str] = []

        def may_send() -> bool:
            asked.append("asked")
            return True

        assert (await client.send(_get(server, "/0", redirects=99, before_send=may_send))).status == 302
        assert len(server.requests) == len(asked) == 4
        router.routes.update({"/loop": _to("/loop")})
        assert (await client.send(_get(server, "/loop", redirects=3))).status == 302
        assert (await client.send(_get(server, "/8", redirects=1))).text == "end"
        await client.aclose()


async def test_a_redirect_that_fails_does_not_say_that_nothing_was_sent() -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    async with listening(answering(_to("/there"))) as server:
        client = Outbound(resolver=rebinding)
        request = OutboundRequest("GET", server.url(host="rebinding.test"), OPEN, redirects=1)
        with pytest.raises(NoAnswer, match="redirect"):
            await client.send(request)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "method", "followed_by"),
    [
        (301, "POST", None),
        (302, "POST", None),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
        (301, "GET", "GET"),
    ],
)
async def test_a_redirect_keeps_method_and_body_but_on_303(status: int, method: str, followed_by: str | None) -> None:
    router = _Router()
    async with listening(router) as server:
        router.listener = server
        router.routes["/"] = _to("/there", f"{status} Moved")
        client = Outbound()
        body = None if method == "GET" else b"secret body"
        await client.send(_get(server, method=method, body=body, redirects=1, headers=(("Content-Type", "text/x"),)))
        followed = [request.split(b" ")[0].decode() for request in server.requests[1:]]
        assert followed == ([followed_by] if followed_by else [])
        if status == 303:
            assert b"secret" not in server.requests[1]
            assert b"text/x" not in server.requests[1]
        await client.aclose()
