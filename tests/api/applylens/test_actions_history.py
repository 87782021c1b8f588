"""What was tried and done against an incident."""

from __future__ import annotations

import pytest

from accounts.models import Tenant
from tests.api.applylens.acting import CLEAR, INCREMENTAL, dry_run, history, path, stored
from tests.api.applylens.calls import Api, make, read, refused

pytestmark = pytest.mark.django_db

ITEM = {"id", "action_type", "params", "dry_run", "status", "approved_by", "created_at"}


def test_apl_118_119_121_rows_are_listed_oldest_first(api: Api, viewer: Api, tenant: Tenant) -> None:
    incident = make(tenant)
    read(dry_run(api, incident, CLEAR))
    row = stored(incident, "rerun_dbt", approved_by="a@example.com", logs_url="https://logs.example.com/1")
    stored(incident, "clear_cache", status="failed", actual_duration=2)
    stored(incident, "clear_cache", status="running", completed_at=None, actual_duration=None)
    read(dry_run(api, incident, INCREMENTAL))

    found = read(viewer.get(path(incident, "/history")))

    assert found["incident_id"] == incident.pk
    rows = found["actions"]
    assert [each["id"] for each in rows] == sorted(each["id"] for each in rows)
    assert [each["dry_run"] for each in rows] == [True, False, False, False, True]
    assert [each["status"] for each in rows] == ["dry_run_success", "success", "failed", "running", "dry_run_success"]
    assert [set(each) - ITEM for each in rows] == [set(), {"result"}, {"result"}, set(), set()]
    assert rows[0]["approved_by"] is None
    assert rows[1]["result"] == {"actual_duration": 1.5, "logs_url": row.logs_url}
    assert (rows[1]["approved_by"], rows[2]["result"]) == ("a@example.com", {"actual_duration": 2, "logs_url": None})
    assert all(each["created_at"].endswith("Z") and len(each["created_at"]) == 20 for each in rows)


def test_apl_122_123_no_actions_and_no_incident(api: Api, stranger: Api, tenant: Tenant) -> None:
    incident = make(tenant)

    assert read(api.get(path(incident, "/history"))) == {"incident_id": incident.pk, "actions": []}
    refused(api.get(path(999999, "/history")), 404, "not_found")
    refused(stranger.get(path(incident, "/history")), 404, "not_found")
    refused(Api().get(path(incident, "/history")), 401, "unauthorized")


def test_what_is_named_like_a_secret_is_not_shown(api: Api, tenant: Tenant) -> None:
    incident = make(tenant)
    params = {"api_key": "a", "nested": [{"Password": "b", "index": "c"}], "index_name": "emails"}
    stored(incident, "clear_cache", params=params)

    [row] = history(api, incident)

    assert row["params"] == {
        "api_key": "[REDACTED]",
        "nested": [{"Password": "[REDACTED]", "index": "c"}],
        "index_name": "emails",
    }
