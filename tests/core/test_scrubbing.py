"""Secrets are removed from whatever is stored or shown: by value, in every encoding of SECURITY.md 7 (SEC-20)."""

from __future__ import annotations

import base64
import codecs
import html
import json
import shlex
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.secrets import MASK, Scrubber, Secret, StreamScrubber

AWKWARD = "Tr0ub4dor&3/<'x\"\u00e9+$`\\ =%41"
PLAIN = "canary-8f3a97c2-4b1d"
KEY = (
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50\n"
    "DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n"
)
SECRETS = [AWKWARD, PLAIN, KEY, "12345678", "p\u00e4ssw\u00f6rt-\U0001f511", "a b c d e f", "\\u0041\\n\\x41$(id)"]


def _wrapped(text: str, width: int = 76, end: str = "\n") -> str:
    return end.join(text[at : at + width] for at in range(0, len(text), width))


def _b64(text: str, before: bytes = b"", after: bytes = b"", codec: str = "utf-8") -> str:
    return base64.b64encode(before + text.encode(codec) + after).decode()


ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": lambda s: f"before {s} after",
    "json": json.dumps,
    "json, not ascii": lambda s: json.dumps(s, ensure_ascii=False),
    "json in json": lambda s: json.dumps(json.dumps({"a": s})),
    "json with escaped slashes": lambda s: json.dumps(s).replace("/", "\\/"),
    "all \\u": lambda s: "".join(f"\\u{unit:04X}" for unit in _utf16(s)),
    "url": lambda s: quote(s, safe=""),
    "url path": quote,
    "url form": quote_plus,
    "url lower case": lambda s: quote(s, safe="").lower() if s.islower() else quote(s, safe=""),
    "url twice": lambda s: quote(quote(s, safe="")),
    "url, everything": lambda s: "".join(f"%{octet:02x}" for octet in s.encode()),
    "html": html.escape,
    "html, named quotes": lambda s: html.escape(s, quote=False).replace("'", "&#39;").replace('"', "&quot;"),
    "html, decimal": lambda s: "".join(f"&#{ord(character)};" for character in s),
    "xml text": escape,
    "xml attribute": lambda s: quoteattr(s),
    "base64": _b64,
    "base64, url-safe": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "base64, unpadded": lambda s: _b64(s).rstrip("="),
    "base64 behind one octet": lambda s: _b64(s, b"x", b"yz"),
    "base64 behind two octets": lambda s: _b64(s, b"xy", b"z"),
    "base64 inside longer text": lambda s: _b64(s, b"x" * 100, b"y" * 50),
    "base64 in lines": lambda s: _wrapped(_b64(s, b"x" * 70, b"y" * 70)),
    "base64 in CRLF lines": lambda s: _wrapped(_b64(s, b"x" * 70), end="\r\n"),
    "base64 of UTF-16": lambda s: _b64(s, codec="utf-16-le"),
    "basic header": lambda s: f"Authorization: Basic {_b64(s, b'user:')}",
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "hex with colons": lambda s: s.encode().hex(":"),
    "\\x": lambda s: "".join(f"\\x{octet:02x}" for octet in s.encode()),
    "shell": shlex.quote,
    "shell, other way": lambda s: "'" + s.replace("'", "'\\''") + "'",
    "shell, double quotes": lambda s: '"' + "".join("\\" + c if c in '\\"$`' else c for c in s) + '"',
    "powershell": lambda s: "'" + s.replace("'", "''") + "'",
    "powershell, double quotes": lambda s: '"' + "".join("`" + c if c in '`$"' else c for c in s) + '"',
    "repr": repr,
    "repr of octets": lambda s: repr(s.encode()),
    "in lines": lambda s: _wrapped(f"{'x' * 70}{s}"),
    "exception": lambda s: str(ValueError("could not log in with", s)),
    "url, only some characters": lambda s: "".join(
        f"%{ord(c):02X}" if c in "ab1/" else quote(c, safe="+= ") for c in s
    ),
}


def _utf16(text: str) -> list[int]:
    octets = codecs.encode(text, "utf-16-be")
    return [int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2)]


def _leaks(secret: str, shown: str) -> list[str]:
    """The encodings of the secret's pieces that still stand in what is shown."""
    pieces = {secret[at : at + 6] for at in range(len(secret) - 5)}
    found = [piece for piece in pieces for form in (piece, html.escape(piece), quote(piece, safe="")) if form in shown]
    return [piece for piece in found if piece.strip("-\n") and piece not in KEY[:28] and piece not in KEY[-26:]]


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_no_form_of_a_secret_is_left(encode: Callable[[str], str], secret: str) -> None:
    shown = Scrubber([Secret(secret)]).text(encode(secret))
    assert MASK in shown
    assert len(shown) <= len(encode(secret)) - len(secret) + 2 * len(MASK) + 200
    assert not _leaks(secret, shown)
    assert secret not in html.unescape(shown)


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS.keys())
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_no_form_is_left_when_text_arrives_in_pieces(encode: Callable[[str], str], size: int) -> None:
    text = f"{'head ' * 40}{encode(AWKWARD)}{' tail' * 40}"
    stream = StreamScrubber(Scrubber([AWKWARD]))
    shown = "".join(stream.feed(text[at : at + size]) for at in range(0, len(text), size)) + stream.close()
    assert MASK in shown
    assert not _leaks(AWKWARD, shown)


def test_what_holds_no_secret_is_left_alone() -> None:
    scrubber = Scrubber([AWKWARD, PLAIN])
    texts = [
        "",
        "plain",
        "a\r\nb\n",
        "100% & <b> \\n \\u0041 %41",
        "\ud800 broken",
        base64.b64encode(b"x" * 500).decode(),
    ]
    assert [scrubber.text(text) for text in texts] == texts
    value = {"a": [1, 2.5, None, True, "x", {"b": ()}], "c": b"octets"}
    assert scrubber.value(value) == value


@given(st.text(max_size=200), st.integers(1, 9))
@settings(max_examples=200)
def test_a_stream_without_secrets_is_unchanged(text: str, size: int) -> None:
    stream = StreamScrubber(Scrubber([PLAIN]))
    shown = "".join(stream.feed(text[at : at + size]) for at in range(0, len(text), size)) + stream.close()
    assert shown == text


@given(
    st.text(st.characters(codec="utf-8"), min_size=8, max_size=40).filter(
        lambda s: len(s.replace("\r", "").replace("\n", "")) >= 8
    ),
    st.text(max_size=30),
    st.text(max_size=30),
)
@settings(max_examples=300)
def test_whatever_the_secret_and_its_surroundings_it_is_gone(secret: str, before: str, after: str) -> None:
    scrubber = Scrubber([secret])
    assert secret not in scrubber.text(before + secret + after) or secret in MASK
    assert secret not in json.loads(scrubber.text(json.dumps([before, secret, after])) or "null", strict=False)


def test_a_secret_split_over_neighbouring_fields_is_found() -> None:
    cleaned = Scrubber([PLAIN]).value({"first": PLAIN[:9], "second": PLAIN[9:], "third": "kept"})
    assert cleaned == {"first": MASK, "second": MASK, "third": "kept"}


def test_names_numbers_and_objects_are_scrubbed_too() -> None:
    scrubber = Scrubber(["12345678", PLAIN])
    assert scrubber.value(
        {PLAIN: 1, "n": 12345678, "f": 12345678.5, "o": Exception(PLAIN), "s": Secret("other thing")}
    ) == {
        MASK: 1,
        "n": MASK,
        "f": MASK,
        "o": MASK,
        "s": MASK,
    }


def test_overlapping_secrets_leave_no_rest() -> None:
    assert Scrubber(["abcdefgh", "efghijkl", "abcdefghijklmnop"]).text("x abcdefghijkl y") == f"x {MASK} y"


def test_a_short_secret_masks_everything() -> None:
    scrubber = Scrubber(["1234567", PLAIN])
    assert scrubber.masks_everything
    assert scrubber.text("anything") == MASK
    assert scrubber.value({"exit": 0}) == MASK
    assert scrubber.value(None) is None
    stream = StreamScrubber(scrubber)
    assert stream.feed("a") + stream.feed("b") + stream.close() == MASK


def test_no_secrets_or_empty_ones_mask_nothing() -> None:
    assert Scrubber([]).text("text") == "text"
    assert Scrubber([Secret("")]).value(["x"]) == ["x"]


def test_one_line_of_a_key_file_is_a_secret_too() -> None:
    shown = Scrubber([KEY]).text("error in line MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50: -----BEGIN PRIVATE KEY-----")
    assert shown == f"error in line {MASK}: -----BEGIN PRIVATE KEY-----"


def test_a_scrubber_does_not_show_what_it_knows() -> None:
    assert "canary" not in repr(Scrubber([PLAIN]))


def test_a_stream_of_nothing_but_secrets_stays_small_in_memory() -> None:
    stream = StreamScrubber(Scrubber(["aaaaaaaa"]))
    shown = "".join(stream.feed("a" * 1000) for _ in range(200)) + stream.close()
    assert shown == MASK
    assert len(stream._held) == 0


def test_four_megabytes_are_scrubbed_in_time() -> None:
    scrubber = Scrubber([AWKWARD, PLAIN, KEY])
    text = json.dumps([{"line": "GET /index.html?a=1&b=2 HTTP/1.1\n", "n": n} for n in range(60_000)])
    began = time.monotonic()
    assert scrubber.text(text) == text
    assert time.monotonic() - began < 10
