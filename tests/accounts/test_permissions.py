from __future__ import annotations

from fnmatch import fnmatch

import pytest

from accounts.permissions import PERMISSIONS, ROLES, is_scope, limited_to, permissions_of


def test_a_viewer_reads_everything_but_keys_users_roles_and_audit_and_writes_nothing() -> None:
    reads = {permission for permission in PERMISSIONS if permission.endswith(":read")}

    assert ROLES["viewer"] == reads - {"api_keys:read", "users:read", "roles:read", "audit_log:read"}


def test_an_approver_decides_but_does_not_start_anything() -> None:
    assert {"approvals:decide", "manual:respond", "playbooks:read"} <= ROLES["approver"]
    assert not {"playbooks:execute", "playbooks:write"} & ROLES["approver"]


def test_an_analyst_starts_playbooks_but_does_not_write_them() -> None:
    assert {"playbooks:execute", "manual:respond"} <= ROLES["analyst"]
    assert "playbooks:write" not in ROLES["analyst"]
    assert ROLES["analyst"] == ROLES["soc_analyst"]


def test_a_tenant_administrator_may_do_everything_but_change_the_tenant() -> None:
    assert PERMISSIONS - ROLES["tenant_admin"] == {"tenant:write"}


def test_a_role_that_does_not_exist_may_do_nothing() -> None:
    assert permissions_of("viewer ") == frozenset()
    assert permissions_of("admi") == frozenset()


def test_no_permission_has_the_name_of_a_role() -> None:
    assert not PERMISSIONS & set(ROLES)


@pytest.mark.parametrize("pattern", ["*:read", "*:write"])
def test_every_role_holds_only_permissions_that_exist(pattern: str) -> None:
    for permissions in ROLES.values():
        assert permissions <= PERMISSIONS
        assert {name for name in permissions if fnmatch(name, pattern)} <= PERMISSIONS


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ([], {"playbooks:read", "rules:read"}),
        (["playbooks:read"], {"playbooks:read"}),
        (["playbooks:*"], {"playbooks:read"}),
        (["playbooks:execute"], set()),
        (["detections:read"], {"rules:read"}),
        (["*"], {"playbooks:read", "rules:read"}),
        (["nonsense"], set()),
    ],
)
def test_a_key_holds_what_both_its_scopes_and_its_owner_allow(scopes: list[str], expected: set[str]) -> None:
    assert limited_to(frozenset({"playbooks:read", "rules:read"}), scopes) == expected


@pytest.mark.parametrize(
    "name",
    ["playbooks:read", "playbooks:*", "*", "cases:investigate"],
)
def test_a_scope_is_a_permission_a_whole_resource_or_everything(name: str) -> None:
    assert is_scope(name)


@pytest.mark.parametrize("name", ["", "play:*", "playbooks", "playbooks:", "*:read"])
def test_anything_else_is_no_scope(name: str) -> None:
    assert not is_scope(name)
