"""The forms in which a secret may come back: SECURITY.md 7. Octets, letters in lower case, line breaks removed."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape as xml_escape

#: shorter lines of a secret of several lines are no secret by themselves
_SECRET_LINE = 16


def compact(octets: bytes) -> bytes:
    """Bring a form, or the text it is looked for in, to what is compared: lower case, no line breaks."""
    return octets.translate(None, b"\r\n").lower()


def forms_of(secret: str) -> frozenset[bytes]:
    """Return every form to look for but those of base64, compacted."""
    forms = {
        form
        for value in (secret, *_secret_lines(secret))
        for form in (*map(_octets, _texts_of(value)), *_octet_forms(_octets(value)))
    }
    return frozenset(map(compact, forms))


def base64_forms_of(secret: str) -> frozenset[bytes]:
    """Return the inner parts of the base64 forms, in all three alignments; their neighbours may be of it too."""
    forms = {form for value in (secret, *_secret_lines(secret)) for form in _base64_forms(value)}
    return frozenset(map(compact, forms))


def _secret_lines(secret: str) -> list[str]:
    """The lines of a key file: one of them in an error message is a leak as well."""
    lines = [line.strip() for line in secret.splitlines()]
    return [line for line in lines if len(line) >= _SECRET_LINE and not line.startswith("-----")]


def _texts_of(value: str) -> Iterator[str]:
    yield value
    yield from _json_forms(value)
    yield from _url_forms(value)
    yield from _markup_forms(value)
    yield from _quoted_forms(value)
    yield repr(value)[1:-1]
    yield repr(_octets(value))[2:-1]


def _json_forms(value: str) -> Iterator[str]:
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield once.replace("/", "\\/")
        yield once.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("'", "\\u0027")
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]
    units = value.encode("utf-16-be", "surrogatepass").hex()
    yield "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _url_forms(value: str) -> Iterator[str]:
    octets = _octets(value)
    for once in (quote(octets, safe=""), quote(octets, safe="/"), quote(octets, safe="/:@!$&'()*+,;=")):
        yield once
        yield quote(once, safe="/")
    yield quote_plus(octets)
    yield quote(quote_plus(octets), safe="/")
    everything = octets.hex("%")
    yield f"%{everything}"
    yield f"%25{octets.hex('.').replace('.', '%25')}"


def _markup_forms(value: str) -> Iterator[str]:
    yield html.escape(value, quote=False)
    yield html.escape(value, quote=True)
    yield html.escape(value, quote=True).replace("&#x27;", "&#39;")
    yield xml_escape(value, {'"': "&quot;", "'": "&apos;"})
    yield html.escape(value, quote=False).encode("ascii", "xmlcharrefreplace").decode("ascii")
    yield "".join(f"&#{ord(character)};" for character in value)
    yield "".join(f"&#x{ord(character):x};" for character in value)


def _quoted_forms(value: str) -> Iterator[str]:
    yield value.replace("'", "'\\''")
    yield value.replace("'", "'\"'\"'")
    yield _escaped(value, '\\"$`', "\\")
    yield value.replace("'", "''")
    yield value.replace('"', '""')
    yield _escaped(value, '`$"', "`")


def _escaped(value: str, characters: str, escape: str) -> str:
    return "".join(escape + character if character in characters else character for character in value)


def _octet_forms(octets: bytes) -> Iterator[bytes]:
    hexadecimal = octets.hex()
    yield hexadecimal.encode()
    for separator in (":", " ", "-", "."):
        yield octets.hex(separator).encode()
    yield b"\\x" + octets.hex(".").replace(".", "\\x").encode()
    yield octets.decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass")


def _base64_forms(value: str) -> Iterator[bytes]:
    for content in (_octets(value), value.encode("utf-16-le", "surrogatepass")):
        for offset in range(3):
            standard = _base64_core(content, offset)
            yield standard
            yield standard.replace(b"+", b"-").replace(b"/", b"_")


def _base64_core(content: bytes, offset: int) -> bytes:
    """The characters that stand for ``content`` alone when it begins ``offset`` octets into a group of three."""
    encoded = base64.b64encode(bytes(offset) + content)
    first = -(-offset * 8 // 6)
    last = (offset + len(content)) * 8 // 6
    return encoded[first:last]


def _octets(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
