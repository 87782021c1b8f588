"""Which addresses agents and targets have, and which of them are the same place (CACAO.md, D34)."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.addresses import Address, AddressInvalid, addresses_of, read_url


@pytest.mark.parametrize(
    ("properties", "kind", "urls"),
    [
        ({"address": {"url": ["https://a.example/base"], "dname": ["b.example"]}}, "http", ["https://a.example/base"]),
        ({"address": {"url": ["https://a.example/"]}, "port": "8443"}, "http", ["https://a.example:8443/"]),
        ({"address": {"url": ["https://a.example:444/"]}, "port": "8443"}, "http", ["https://a.example:444/"]),
        ({"address": {"dname": ["a.example"]}}, "http", ["http://a.example"]),
        ({"address": {"dname": ["A.Example."]}, "port": "8080"}, "http", ["http://a.example:8080"]),
        ({"address": {"dname": ["a.example"]}, "port": "443"}, "http", ["https://a.example"]),
        ({"address": {"dname": ["a.example"]}, "port": 9000}, "http", ["https://a.example:9000"]),
        ({"address": {"ipv6": ["2001:DB8::1"], "ipv4": []}, "port": "80"}, "http", ["http://[2001:db8::1]"]),
        ({"address": {"ipv4": ["192.0.2.1", "192.0.2.2"]}}, "ssh", ["ssh://192.0.2.1", "ssh://192.0.2.2"]),
        ({"address": {"ipv4": ["192.0.2.1"]}, "port": "2222"}, "ssh", ["ssh://192.0.2.1:2222"]),
        ({"address": {"l2mac": ["00:00:00:00:00:01"]}}, "http", []),
        ({"address": {"dname": [""]}}, "http", []),
        ({}, "http", []),
    ],
)
def test_the_first_kind_of_address_that_is_there_is_taken_whole(
    properties: dict[str, Any], kind: str, urls: list[str]
) -> None:
    assert [address.url for address in addresses_of(properties, kind=kind)] == urls


@pytest.mark.parametrize(
    "properties",
    [
        {"address": {"dname": ["hxxp://example.com/v1/"]}},
        {"address": {"dname": ["a b.example"]}},
        {"address": {"dname": ["user@a.example"]}},
        {"address": {"dname": ["a.example/x"]}},
        {"address": {"dname": ["fe80::1%eth0"]}},
        {"address": {"ipv4": ["300.1.1.1"]}},
        {"address": {"ipv4": ["::1"]}},
        {"address": {"ipv6": ["fe80::1%eth0"]}},
        {"address": {"dname": ["a.example"]}, "port": "0"},
        {"address": {"dname": ["a.example"]}, "port": "65536"},
        {"address": {"dname": ["a.example"]}, "port": "80 "[:-1] + "x"},
        {"address": {"url": ["ftp://a.example/"]}},
        {"address": {"url": ["https://user:word@a.example/"]}},
        {"address": {"url": ["https://a.example/#x"]}},
        {"address": {"url": ["https:///x"]}},
        {"address": {"url": ["https://a.example:99999/"]}},
        {"address": {"url": ["https://a.example\\@b.example/"]}},
        {"address": {"url": ["https://a.example/\nx"]}},
    ],
)
def test_what_cannot_be_called_is_refused(properties: dict[str, Any]) -> None:
    with pytest.raises(AddressInvalid) as refusal:
        addresses_of(properties, kind="http")

    assert refusal.value.code == "no_target"


def test_scheme_host_and_port_make_the_place_whatever_the_spelling() -> None:
    one = read_url("HTTPS://API.Example.:443/v1", kind="http")

    assert one.place == read_url("https://api.example", kind="http").place
    assert one.place != read_url("http://api.example:443", kind="http").place


@pytest.mark.parametrize(
    ("host", "entry", "expected"),
    [
        ("a.example", "A.example.", True),
        ("a.example", "example", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("::1", "10.0.0.0/8", False),
        ("ten.example", "10.0.0.0/8", False),
    ],
)
def test_a_host_list_holds_names_and_networks(host: str, entry: str, expected: bool) -> None:
    assert Address("https", host, 443).is_among((entry,)) is expected
