"""The body of an answer, decoded within limits (SEC-05)."""

from __future__ import annotations

import zlib
from typing import Final

MAX_BODY: Final = 4 * 1024 * 1024
MAX_RATIO: Final = 100
#: short bodies of one character may well be packed 1 to 1,000
_RATIO_FROM: Final = 64 * 1024


class TooMuch(Exception):
    """A limit is passed."""


class Undecodable(Exception):
    """The body is not of the encoding it names."""


class BodyReader:
    """Takes the octets of a body as they arrive. Raises TooMuch as soon as a limit is passed; Undecodable."""

    def __init__(self, content_encoding: str, *, limit: int = MAX_BODY) -> None:
        encoding = content_encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise Undecodable(f"the encoding {encoding[:40]!r} was not asked for")
        self._limit = limit
        self._decoded = bytearray()
        self._received = 0
        self._unpacker = None if encoding in ("", "identity") else zlib.decompressobj(zlib.MAX_WBITS | 32)

    def feed(self, octets: bytes) -> None:
        """Take the next octets."""
        first = self._received == 0
        self._received += len(octets)
        if self._unpacker is None:
            self._decoded += octets
        else:
            self._unpack(octets, is_first=first)
        if len(self._decoded) > self._limit:
            raise TooMuch(f"more than {self._limit} octets")
        if len(self._decoded) > max(_RATIO_FROM, MAX_RATIO * self._received):
            raise TooMuch(f"packed more than 1 to {MAX_RATIO}")

    def close(self) -> bytes:
        """Return the whole body."""
        if self._unpacker is not None and self._received and not self._unpacker.eof:
            raise Undecodable("the packed body is cut")
        return bytes(self._decoded)

    def _unpack(self, octets: bytes, *, is_first: bool) -> None:
        while octets and self._unpacker is not None:
            if self._unpacker.eof:  # gzip may consist of several members
                self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
            room = min(self._limit, max(_RATIO_FROM, MAX_RATIO * self._received)) - len(self._decoded) + 1
            try:
                self._decoded += self._unpacker.decompress(octets, max(room, 1))
            except zlib.error as error:
                if not is_first:
                    raise Undecodable(str(error)) from None
                # `deflate` means zlib, but some servers send it without zlib's header.
                self._unpacker, is_first = zlib.decompressobj(-zlib.MAX_WBITS), False
                continue
            if self._unpacker.unconsumed_tail:
                return  # more than there is room for: feed() says so
            octets = self._unpacker.unused_data
