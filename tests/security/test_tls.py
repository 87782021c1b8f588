"""TLS is verified, 1.2 at least, with an authority per connection (SEC-06)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from core.outbound import Outbound, OutboundRequest, Refused
from tests.security.certificates import Authority, new_authority, server_context
from tests.security.servers import OPEN, answering, listening, ok


async def _loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return new_authority()


async def test_a_certificate_of_the_connections_authority_is_trusted_and_the_name_is_kept(
    authority: Authority, tmp_path: Path
) -> None:
    context = server_context(tmp_path, authority=authority)
    names: list[str] = []

    def note(connection: object, name: str, server: object) -> None:
        names.append(name)

    context.sni_callback = note
    async with listening(answering(ok()), ssl=context) as server:
        client = Outbound(resolver=_loopback)
        policy = replace(OPEN, ca=authority.pem, allow_http=False)
        for host in ("good.test", "GOOD.test."):
            url = server.url(host=host, scheme="https")
            assert (await client.send(OutboundRequest("GET", url, policy))).status == 200
        assert names == ["good.test", "good.test"]
        assert b"Host: good.test:" in server.requests[0]
        await client.aclose()


async def test_an_address_is_verified_as_an_address(authority: Authority, tmp_path: Path) -> None:
    async with listening(
        answering(ok()), ssl=server_context(tmp_path, authority=authority, name="127.0.0.1")
    ) as server:
        client = Outbound()
        request = OutboundRequest("GET", server.url(scheme="https"), replace(OPEN, ca=authority.pem))
        assert (await client.send(request)).status == 200
        await client.aclose()


@pytest.mark.parametrize(
    "fault", ["wrong host", "expired", "self-signed", "unknown authority", "public authorities only"]
)
async def test_a_certificate_that_is_not_right_is_refused_before_anything_is_sent(
    fault: str, authority: Authority, tmp_path: Path
) -> None:
    signer = {"self-signed": None, "unknown authority": new_authority()}.get(fault, authority)
    name = "other.test" if fault == "wrong host" else "good.test"
    context = server_context(tmp_path, authority=signer, name=name, expired=fault == "expired")
    policy = OPEN if fault == "public authorities only" else replace(OPEN, ca=authority.pem)
    async with listening(answering(ok()), ssl=context) as server:
        client = Outbound(resolver=_loopback)
        with pytest.raises(Refused) as caught:
            await client.send(OutboundRequest("GET", server.url(host="good.test", scheme="https"), policy))
        assert caught.value.code == "tls_failed"
        assert "certificate" in caught.value.message
        assert server.requests == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_a_server_of_old_tls_is_refused(authority: Authority, tmp_path: Path) -> None:
    context = _speaking_old_tls(server_context(tmp_path, authority=authority))
    async with listening(answering(ok()), ssl=context) as server:
        url = server.url(host="good.test", scheme="https")
        with pytest.raises(Refused) as caught:
            await Outbound(resolver=_loopback).send(OutboundRequest("GET", url, replace(OPEN, ca=authority.pem)))
        assert caught.value.code == "tls_failed"
        # A client that does not mind is served: the refusal is ours.
        careless = ssl.create_default_context(cadata=authority.pem)
        _, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=_speaking_old_tls(careless), server_hostname="good.test"
        )
        assert writer.get_extra_info("ssl_object").version() in ("TLSv1", "TLSv1.1")
        writer.close()


def _speaking_old_tls(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


async def test_a_server_without_tls_is_refused() -> None:
    async with listening(answering(ok(), then_close=True)) as server:
        with pytest.raises(Refused) as caught:
            await Outbound().send(OutboundRequest("GET", server.url(scheme="https"), OPEN))
        assert caught.value.code == "tls_failed"


async def test_what_was_not_verified_is_never_shared_with_what_must_be(authority: Authority, tmp_path: Path) -> None:
    async with listening(answering(ok()), ssl=server_context(tmp_path, authority=None)) as server:
        client = Outbound(resolver=_loopback)
        url = server.url(host="good.test", scheme="https")
        insecure = OutboundRequest("GET", url, replace(OPEN, insecure_tls=True))
        assert (await client.send(insecure)).status == 200
        with pytest.raises(Refused):
            await client.send(replace(insecure, policy=OPEN))
        assert len(server.requests) == 1
        await client.aclose()


async def test_an_authority_that_cannot_be_read_is_a_refusal() -> None:
    async with listening() as server:
        with pytest.raises(Refused) as caught:
            await Outbound().send(OutboundRequest("GET", server.url(scheme="https"), replace(OPEN, ca="no PEM")))
        assert caught.value.code == "tls_failed"
