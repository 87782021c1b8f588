"""Values put into URLs, headers, documents and plain text (SEC-12)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote

from core import strict_json
from core.quoting.places import TextPart, UnsafePlaceholder, check_value, is_outside

_LINE_BREAKS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_METHOD = re.compile(r"[A-Za-z]+")
_UNRESERVED: Final = "-._~"
#: a value of one of these types is a JSON literal where it stands outside quotes
_JSON_TYPES: Final = frozenset(
    {"integer", "int", "long", "float", "number", "bool", "boolean", "dictionary", "object", "array", "list"}
)


def join_text(parts: Sequence[TextPart]) -> str:
    """Join plain text, as for people or for standard input. Refuses U+0000 and values of more than 64 KiB."""
    return "".join(_checked(part, "in a text") for part in parts)


def join_url_path(parts: Sequence[TextPart]) -> str:
    """Join the path of a URL; a value is (a part of) one segment, percent-encoded.

    A value that is the whole path keeps its slashes. Refused: a segment that ends up as ``.``, ``..`` or, where a
    value made it, empty; a path that begins with ``//``.
    """
    return _join_path(list(parts))


def join_query(parts: Sequence[TextPart]) -> str:
    """Join a query string, or a name or value of one; outside values are percent-encoded."""
    return "".join(_percent(part, "in a query") if is_outside(part) else part.text for part in parts)


def join_target(parts: Sequence[TextPart]) -> str:
    """Join a request target: path and, behind the first ``?`` of the author, query.

    An absolute URL of the author is taken too; values stand behind its host only.
    """
    before, after = _split_at(parts, "?")
    origin, path = _split_origin(before)
    joined = _join_path(path)
    if any(map(is_outside, before)) and not joined.startswith("/"):
        reason = "the target has to begin with the author's '/', so that no value names a host"
        raise UnsafePlaceholder(name=_first_name(before), place="in a request target", reason=reason)
    target = origin + joined
    _check_line(target, place="in a request target")
    if after is None:
        return target
    query = join_query(after)
    _check_line(query, place="in a request target")
    return f"{target}?{query}"


def join_start_line(parts: Sequence[TextPart]) -> tuple[str, str]:
    """Read ``METHOD target [HTTP/x]`` and return method (upper case) and target.

    Raises UnsafePlaceholder for values in the method, and for a line that is none.
    """
    words = _split_words(parts)
    version = words.pop() if len(words) == 3 and _is_version(words[2]) else None
    if version is None and len(words) != 2:
        raise UnsafePlaceholder(name="", place="in a start line", reason="a method and a target are wanted")
    method = "".join(part.text for part in words[0])
    if any(map(is_outside, words[0])) or not _METHOD.fullmatch(method):
        raise UnsafePlaceholder(name=_first_name(words[0]), place="in the method of a request")
    return method.upper(), join_target(words[1])


def join_header(parts: Sequence[TextPart]) -> str:
    """Join the value of a header; line breaks and control characters are refused, tab excepted."""
    value = "".join(_checked(part, "in a header") for part in parts)
    _check_line(value, place="in a header", name=_first_name(parts))
    return value


def join_form(parts: Sequence[TextPart]) -> str:
    """Join a body of ``application/x-www-form-urlencoded``."""
    return "".join(
        quote_plus(_checked(part, "in a form").encode()) if is_outside(part) else part.text for part in parts
    )


def join_json(parts: Sequence[TextPart]) -> str:
    """Join a JSON document: parsed with placeholders, filled as data, written again.

    A value inside quotes becomes text; one outside quotes becomes a literal of its type (``integer``, ``bool``,
    ``dictionary`` ...), or text. A document without outside values is returned as the author wrote it.
    """
    outside = [part for part in parts if is_outside(part)]
    if not outside:
        return "".join(part.text for part in parts)
    for part in outside:
        _checked(part, "in a JSON document")
    token = _unused_token(parts)
    document, literals = _with_tokens(parts, token)
    try:
        value = strict_json.loads(document.encode("utf-8"))
    except (strict_json.JsonInvalid, UnicodeEncodeError) as error:
        reason = f"the content around it is no JSON ({error})"
        raise UnsafePlaceholder(name=outside[0].name, place="in a JSON document", reason=reason) from None
    filled = _Filling(outside, literals, re.compile(f"{token}n([0-9]+)e")).fill(value)
    return strict_json.dumps(filled).decode("utf-8")


class _Filling:
    """Puts values in place of tokens; the result is not looked at again."""

    def __init__(self, outside: Sequence[TextPart], literals: set[int], token: re.Pattern[str]) -> None:
        self._outside = outside
        self._literals = literals
        self._token = token

    def fill(self, value: Any) -> Any:
        if isinstance(value, dict):
            filled = {self._text(name): self.fill(item) for name, item in value.items()}
            if len(filled) != len(value):
                raise UnsafePlaceholder(name="", place="in a JSON member's name", reason="the name is there already")
            return filled
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if not isinstance(value, str):
            return value
        token = self._token.fullmatch(value)
        if token and int(token[1]) in self._literals:
            return _literal(self._outside[int(token[1])])
        return self._text(value)

    def _text(self, value: str) -> str:
        return self._token.sub(lambda token: self._outside[int(token[1])].text, value)


def _with_tokens(parts: Sequence[TextPart], token: str) -> tuple[str, set[int]]:
    """Return the document with a token for each value, and the numbers of those that stood outside quotes."""
    pieces: list[str] = []
    literals: set[int] = set()
    number, is_in_text, is_escaped = 0, False, False
    for part in parts:
        if is_outside(part):
            name = f"{token}n{number}e"
            if not is_in_text:
                literals.add(number)
            pieces.append(name if is_in_text else f'"{name}"')
            number += 1
            continue
        pieces.append(part.text)
        for character in part.text:
            if is_in_text and is_escaped:
                is_escaped = False
            elif is_in_text and character == "\\":
                is_escaped = True
            elif character == '"':
                is_in_text = not is_in_text
    return "".join(pieces), literals


def _unused_token(parts: Sequence[TextPart]) -> str:
    everything = "".join(part.text for part in parts)
    return next(token for token in (f"placeholder{number}" for number in range(10**9)) if token not in everything)


def _literal(part: TextPart) -> Any:
    if part.type not in _JSON_TYPES:
        return part.text
    try:
        return strict_json.loads(part.text.encode("utf-8"))
    except (strict_json.JsonInvalid, UnicodeEncodeError):
        raise UnsafePlaceholder(
            name=part.name, place="in a JSON document, outside quotes", reason=f"it is no JSON of type {part.type}"
        ) from None


def _join_path(parts: Sequence[TextPart]) -> str:
    parts = [part for part in parts if part.text or is_outside(part)]
    if len(parts) == 1 and is_outside(parts[0]) and parts[0].text.startswith("/"):
        return _whole_path(parts[0])
    pieces = [(_percent(part, "in a path") if is_outside(part) else part.text, part) for part in parts]
    path = "".join(text for text, _ in pieces)
    for segment in _segments(pieces):
        text = "".join(piece for piece, _ in segment)
        values = [part for _, part in segment if is_outside(part)]
        if values and (not text or unquote(text) in (".", "..")):
            reason = "the segment of the path would be empty, '.' or '..'"
            raise UnsafePlaceholder(name=values[0].name, place="in a path", reason=reason)
    if any(map(is_outside, parts)) and path.startswith("//"):
        raise UnsafePlaceholder(name=_first_name(parts), place="in a path", reason="the path would name another host")
    return path


def _segments(pieces: Sequence[tuple[str, TextPart]]) -> Iterator[list[tuple[str, TextPart]]]:
    segment: list[tuple[str, TextPart]] = []
    for text, part in pieces:
        if is_outside(part):
            segment.append((text, part))
            continue
        first, *others = text.split("/")
        segment.append((first, part))
        for other in others:
            yield segment
            segment = [(other, part)]
    yield segment


def _whole_path(part: TextPart) -> str:
    value = _checked(part, "in a path")
    if value.startswith("//") or any(segment in (".", "..") for segment in unquote(value).split("/")):
        raise UnsafePlaceholder(name=part.name, place="in a path", reason="it names another host or another directory")
    return quote(value.encode(), safe="/" + _UNRESERVED)


def _split_origin(parts: Sequence[TextPart]) -> tuple[str, list[TextPart]]:
    """Cut ``https://host`` off an absolute URL. Raises UnsafePlaceholder if a value stands in it."""
    text = parts[0].text if parts and not is_outside(parts[0]) else ""
    if "://" not in text:
        return "", list(parts)
    end = text.find("/", text.index("://") + 3)
    if end < 0:
        if any(map(is_outside, parts)):
            raise UnsafePlaceholder(name=_first_name(parts), place="in the scheme, host or port of a URL")
        return text, list(parts[1:])
    return text[:end], [_Author(text[end:]), *parts[1:]]


def _split_at(parts: Sequence[TextPart], mark: str) -> tuple[list[TextPart], list[TextPart] | None]:
    for index, part in enumerate(parts):
        if not is_outside(part) and mark in part.text:
            before, _, after = part.text.partition(mark)
            return [*parts[:index], _Author(before)], [_Author(after), *parts[index + 1 :]]
    return list(parts), None


def _split_words(parts: Sequence[TextPart]) -> list[list[TextPart]]:
    """Cut at the blanks that the author wrote; a value never begins a new word."""
    words: list[list[TextPart]] = [[]]
    for part in parts:
        if is_outside(part):
            words[-1].append(part)
            continue
        _check_line(part.text, place="in a start line")
        first, *others = re.split("[ \t]+", part.text)
        words[-1].append(_Author(first))
        words.extend([_Author(other)] for other in others)
    return [word for word in words if any(part.text or is_outside(part) for part in word)]


def _is_version(word: Sequence[TextPart]) -> bool:
    return not any(map(is_outside, word)) and "".join(part.text for part in word).startswith("HTTP/")


class _Author:
    """Author text cut out of a longer part."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.trust = "author"
        self.type = "string"
        self.name = ""


def _percent(part: TextPart, place: str) -> str:
    return quote(_checked(part, place).encode(), safe=_UNRESERVED)


def _checked(part: TextPart, place: str) -> str:
    if is_outside(part):
        check_value(part)
    elif "\0" in part.text:
        raise UnsafePlaceholder(name=part.name, place=place, reason="the text holds the character U+0000")
    return part.text


def _check_line(text: str, *, place: str, name: str = "") -> None:
    if _LINE_BREAKS.search(text):
        raise UnsafePlaceholder(name=name, place=place, reason="line breaks and control characters cannot stand there")


def _first_name(parts: Sequence[TextPart]) -> str:
    return next((part.name for part in parts if is_outside(part)), "")
