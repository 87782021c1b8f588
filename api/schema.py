"""OpenAPI: how credentials, families and optional slashes show in the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

if TYPE_CHECKING:
    from api.base import FamilyView


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "api.authentication.KeyAuthentication"
    name = ["bearerKey", "headerKey"]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        return [
            {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer <key>`."},
            {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same API key."},
        ]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        return [{name: []} for name in self.name]  # one of them, not all


class FamilySchema(AutoSchema):
    """One tag a family; the permission of each verb stands in its description."""

    def get_tags(self) -> list[str]:
        return [_view(self).family.tag]

    def get_description(self) -> str:  # type: ignore[override]
        permission = _view(self).permissions.get(self.method, "")
        text: str = super().get_description() or ""
        return f"{text}\n\nPermission: `{permission}`".strip() if ":" in permission else text


def _view(schema: AutoSchema) -> FamilyView:
    return cast("FamilyView", schema.view)


def without_slash_twins(endpoints: list[tuple[str, str, str, Any]], **_: Any) -> list[tuple[str, str, str, Any]]:
    """Drop the second spelling of each path, the one with a trailing slash."""
    return [endpoint for endpoint in endpoints if not endpoint[0].endswith("/")]
