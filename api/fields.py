"""Serializer fields that take a JSON value for what it is: ``"5"`` is not 5, ``"yes"`` is not true, 7 is no text.

DRF's own fields convert; the contracts say "no coercion" (contracts/README.md, bodies; BAD-INPUT.md C and D).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


class Text(serializers.CharField):
    """Text, kept as it came: not trimmed. Empty or white space alone is refused unless ``allow_blank``."""

    default_error_messages = {"invalid": "Must be text.", "blank": "Must not be empty."}

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if isinstance(data, str) and not data.strip() and not self.allow_blank:
            self.fail("blank")
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumber(serializers.IntegerField):
    default_error_messages = {"invalid": "Must be a whole number."}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return int(data)


class Flag(serializers.BooleanField):
    default_error_messages = {"invalid": "Must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return bool(data)


class Choice(serializers.ChoiceField):
    """One of the given texts; the answer lists them."""

    default_error_messages = {"invalid_choice": "Must be one of {choices}."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", choices=", ".join(map(str, self.choices)))
        return data


@extend_schema_field(OpenApiTypes.OBJECT)
class JSONObject(serializers.Field):  # type: ignore[type-arg]
    """Free JSON, but an object. Numbers stay as they were written."""

    default_error_messages = {"invalid": "Must be an object."}

    def to_internal_value(self, data: Any) -> Mapping[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(OpenApiTypes.ANY)
class AnyJSON(serializers.Field):  # type: ignore[type-arg]
    """Any JSON value, null among them when ``allow_null``."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class Input(serializers.Serializer):  # type: ignore[type-arg]
    """A body. Fields that it does not name are refused, or ignored where ``ignores_unknown`` says so."""

    ignores_unknown: ClassVar[bool] = False

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        unknown = [name for name in data if name not in self.fields]
        if unknown and not self.ignores_unknown:
            raise serializers.ValidationError({name[:100]: ["Unknown field."] for name in unknown[:20]})
        return value
