"""A caller of our own API, and what its answers must look like."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from django.test import Client
from django.utils import timezone

from accounts.models import Tenant
from accounts.services import create_user, issue_api_key

if TYPE_CHECKING:
    from django.http import HttpResponse

Json = dict[str, Any]
ROOT = "/api/native"


@dataclass(frozen=True)
class Api:
    """A caller. ``key`` None: without credentials."""

    key: str | None = None

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        given = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        content: Any = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent: Json = {} if content is None else {"data": content, "content_type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        client = Client(raise_request_exception=False)
        return cast("HttpResponse", client.generic(method, _whole(path), headers={**given, **named}, **sent))

    def get(self, path: str) -> HttpResponse:
        return self.send("GET", path)

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.send("POST", path, body, **headers)


def _whole(path: str) -> str:
    return path if path.startswith("/api/") else ROOT + path


def caller_of(tenant: Tenant, role: str = "admin") -> Api:
    """Make a person with a role, and return a caller with a key of theirs."""
    now = timezone.now()
    owner = create_user(tenant=tenant, email=f"{role}-{uuid4().hex[:6]}@example.org", password=None, role=role, now=now)
    return Api(issue_api_key(tenant=tenant, owner=owner, name=f"key of {role}", now=now)[1])


def read(response: HttpResponse, status: int = 200) -> Json:
    assert response.status_code == status, response.content
    found: Json = json.loads(response.content)
    return found


def problem(response: HttpResponse, status: int, code: str | None = None) -> Json:
    """The answer is a problem document of that status, and of that code where one is given."""
    assert response.status_code == status, response.content
    assert response["Content-Type"].startswith("application/problem+json")
    found: Json = json.loads(response.content)
    assert found.keys() >= {"type", "title", "status", "detail", "code"}
    assert found["status"] == status
    if code is not None:
        assert found["code"] == code, found
    return found


def at_fault(response: HttpResponse, *paths: str) -> None:
    """The answer is 422 and names these fields."""
    assert [fault["path"] for fault in problem(response, 422)["errors"]] == list(paths), response.content
