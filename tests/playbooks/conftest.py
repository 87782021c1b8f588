"""A tenant, and a way to import documents. Imports stand inside: conftest files are read before Django is set up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from accounts.models import Tenant
    from playbooks.models import PlaybookVersion

    Import = Callable[..., PlaybookVersion]


@pytest.fixture
def tenant(db: None) -> Tenant:
    from django.utils import timezone

    from accounts.services import create_tenant

    slug = f"t-{uuid4().hex[:8]}"
    return create_tenant(slug=slug, name=slug, now=timezone.now())


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    from django.utils import timezone

    from accounts.services import create_tenant

    return create_tenant(slug=f"o-{uuid4().hex[:8]}", name="Other", now=timezone.now())


@pytest.fixture
def take_in(tenant: Tenant) -> Import:
    """Return a function that imports a document: ``take_in(document, mode="version", level="lenient")``."""

    def go(document: Any, *, mode: str = "version", level: str = "lenient", **more: Any) -> PlaybookVersion:
        from django.utils import timezone

        from core import strict_json
        from core.actors import SYSTEM
        from executions.importing import import_playbook

        octets = document if isinstance(document, bytes) else strict_json.dumps(document)
        options: Any = {"tenant": tenant, "actor": SYSTEM, "now": timezone.now(), "mode": mode, "level": level} | more
        version, _ = import_playbook(octets=octets, **options)
        return version

    return go
