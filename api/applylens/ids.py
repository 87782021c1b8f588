"""Public ids of this family: positive whole numbers of at most 18 digits."""

from __future__ import annotations

from django.urls import register_converter


class Number:
    regex = r"[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(Number, "applylens_number")
