"""The calls of ApplyLens's published samples, as its users have them in their programs: Python, curl, a browser.

Only the host and the credentials are ours, and the ``params`` of Python's ``execute``, which the sample leaves out.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from django.db import connection
from selenium import webdriver

from accounts.models import Tenant
from tests.api.applylens.calls import make
from tests.api.stream.serving import LONG
from tests.api.stream.watching import make_key
from tests.connectors.servers import Reply, serving
from tests.flows.deployed import deployed, with_dbt

Answer = tuple[int, dict[str, Any]]

LISTED = {
    *("id", "kind", "key", "severity", "status", "summary", "details", "playbooks", "issue_url"),
    *("assigned_to", "acknowledged_by", "created_at", "updated_at"),
}
DRY_RUN = {
    *("action_type", "status", "message", "details", "estimated_duration", "estimated_cost", "changes"),
    "requires_approval",
}
EXECUTED = {
    *("action_id", "action_type", "status", "message", "details", "estimated_duration", "actual_duration"),
    *("estimated_cost", "logs_url", "rollback_available", "created_at", "completed_at"),
}

CURL = """
curl -X GET "http://localhost:8000/api/incidents?status=open"

curl -X POST "http://localhost:8000/api/incidents/123/acknowledge" \\
  -H "Content-Type: application/json" \\
  -d '{"acknowledged_by": "me@example.com"}'

curl -X POST "http://localhost:8000/api/playbooks/incidents/123/actions/dry-run" \\
  -H "Content-Type: application/json" \\
  -d '{
    "action_type": "rerun_dbt",
    "params": {"task_id": "task-123", "models": ["inbox_emails"]}
  }'

curl -X POST "http://localhost:8000/api/playbooks/incidents/123/actions/execute" \\
  -H "Content-Type: application/json" \\
  -d '{
    "action_type": "rerun_dbt",
    "params": {"task_id": "task-123", "models": ["inbox_emails"]},
    "approved_by": "me@example.com"
  }'
"""

CREDENTIALS = """
const [ROOT, KEY, TOKEN, done] = arguments;
const answers = [];
const fetch = async (url, options = {}) => {
  const headers = { ...options.headers, Authorization: `Bearer ${KEY}` };
  const answer = await window.fetch(url, { ...options, headers });
  answers.push([answer.status, await answer.clone().json()]);
  return answer;
};
window.logged = new Promise((tell) => { console.log = (...words) => tell(words); });
"""
BROWSER = """
const BASE_URL = `${ROOT}/api`;

const response = await fetch(
  `${BASE_URL}/incidents?status=open&severity=sev1`
);
const { incidents } = await response.json();

await fetch(`${BASE_URL}/incidents/123/acknowledge`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    acknowledged_by: "engineer@example.com",
    notes: "Investigating"
  })
});

const eventSource = new EventSource(`${BASE_URL}/sse/events?token=${TOKEN}`);
eventSource.addEventListener("incident_created", (event) => {
  const incident = JSON.parse(event.data);
  console.log("New incident:", incident);
});
"""


@pytest.fixture
def key(tenant: Tenant) -> str:
    """Seed incident 123, the only open one of its severity; return the key of somebody who may act on it."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE incidents_incident ALTER COLUMN id RESTART WITH 122")
    make(tenant, "INV_other", severity="sev3")
    assert make(tenant).pk == 123
    return make_key(tenant, role="soc_lead").text


@pytest.mark.slow
def test_the_python_sample(tenant: Tenant, key: str, tmp_path: Path) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {key}"
    session.trust_env = False
    answers: list[Answer] = []
    session.hooks["response"].append(lambda answer, **_: answers.append((answer.status_code, answer.json())))

    with deployed(tmp_path / "web.log", **with_dbt(tenant, tmp_path / "project")) as root:
        incidents, printed = _python_sample(session, f"{root}/api")

    listed, acknowledged, dry_run, executed = answers
    assert [incident["id"] for incident in incidents] == [123]
    assert printed == "Estimated: 300s, $0.05"
    _check_listed(listed, [123])
    _check_acknowledged(acknowledged, "engineer@example.com")
    _check_dry_run(dry_run)
    _check_executed(executed)


def _python_sample(requests: requests.Session, BASE_URL: str) -> tuple[list[dict[str, Any]], str]:  # noqa: N803
    response = requests.get(f"{BASE_URL}/incidents", params={"status": "open", "severity": "sev1"})
    incidents = response.json()["incidents"]

    requests.post(
        f"{BASE_URL}/incidents/123/acknowledge",
        json={"acknowledged_by": "engineer@example.com", "notes": "Investigating"},
    )

    response = requests.post(
        f"{BASE_URL}/playbooks/incidents/123/actions/dry-run",
        json={"action_type": "rerun_dbt", "params": {"task_id": "task-123", "models": ["inbox_emails"]}},
    )
    result = response.json()
    printed = f"Estimated: {result['estimated_duration']}s, ${result['estimated_cost']}"

    requests.post(
        f"{BASE_URL}/playbooks/incidents/123/actions/execute",
        json={
            "action_type": "rerun_dbt",
            "params": {"task_id": "task-123", "models": ["inbox_emails"]},
            "approved_by": "engineer@example.com",
        },
    )
    return incidents, printed


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_curl_sample(tenant: Tenant, key: str, tmp_path: Path) -> None:
    written = '"\\n%{http_code}\\n"'
    (tmp_path / ".curlrc").write_text(
        f'header = "Authorization: Bearer {key}"\nwrite-out = {written}\nsilent\nshow-error\nnoproxy = "*"\n'
    )

    with deployed(tmp_path / "web.log", **with_dbt(tenant, tmp_path / "project")) as root:
        script = CURL.replace("http://localhost:8000", root)
        said = subprocess.run(
            ["sh", "-e", "-c", script], env={"CURL_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=240
        )

    assert (said.returncode, said.stderr) == (0, "")
    lines = said.stdout.splitlines()
    listed, acknowledged, dry_run, executed = (
        (int(status), json.loads(body)) for body, status in zip(lines[::2], lines[1::2], strict=True)
    )
    _check_listed(listed, [123, 122])
    _check_acknowledged(acknowledged, "me@example.com")
    _check_dry_run(dry_run)
    _check_executed(executed)


@pytest.mark.slow
def test_the_browser_sample(tenant: Tenant, key: str, tmp_path: Path) -> None:
    after = 'eventSource.addEventListener("connected", () => done({ incidents, answers }));'
    with (
        serving(lambda _: Reply(body=b"<!doctype html>", headers={"Content-Type": "text/html"})) as page,
        browser(tmp_path) as driver,
        deployed(tmp_path / "web.log", SALLYPORT_ALLOWED_ORIGINS=page.url) as root,
        httpx.Client(base_url=f"{root}/api", headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client,
    ):
        driver.get(page.url)
        token = client.post("/sse/token").json()["token"]
        script = f"{CREDENTIALS}(async () => {{{BROWSER}{after}}})().catch((error) => done(`${{error}}`));"
        told = driver.execute_async_script(script, root, key, token)
        assert isinstance(told, dict), told
        made = client.post("/incidents", json={"kind": "gate", "key": "new", "summary": "New"}).json()
        logged = driver.execute_async_script("window.logged.then(arguments[0])")

    listed, acknowledged = told["answers"]
    assert [incident["id"] for incident in told["incidents"]] == [123]
    _check_listed(listed, [123])
    _check_acknowledged(acknowledged, "engineer@example.com")
    shown = {name: made[name] for name in ("id", "kind", "severity", "status", "summary", "created_at")}
    assert logged == ["New incident:", shown]


@contextmanager
def browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """A browser without a window; skips the test where none is installed with its driver."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no browser: install chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    # Chromium's own sandbox needs what containers and root do not have; nothing is shown here but our own page.
    for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "no-proxy-server"):
        options.add_argument(f"--{word}")
    options.add_argument(f"--user-data-dir={profile / 'profile'}")
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    try:
        started.set_script_timeout(LONG)
        yield started
    finally:
        started.quit()


def _check_listed(answer: Answer, ids: list[int]) -> None:
    status, body = answer
    assert status == 200, body
    assert {name: body[name] for name in ("total", "limit", "offset")} == {"total": len(ids), "limit": 50, "offset": 0}
    assert [incident["id"] for incident in body["incidents"]] == ids
    assert all(incident.keys() == LISTED and incident["status"] == "open" for incident in body["incidents"])


def _check_acknowledged(answer: Answer, by: str) -> None:
    status, body = answer
    assert status == 200, body
    assert body.keys() == {"id", "status", "acknowledged_by", "acknowledged_at", "updated_at"}
    assert (body["id"], body["status"], body["acknowledged_by"]) == (123, "acknowledged", by)


def _check_dry_run(answer: Answer) -> None:
    status, body = answer
    assert status == 200, body
    assert body.keys() == DRY_RUN
    assert (body["status"], body["requires_approval"]) == ("dry_run_success", False)
    assert (body["estimated_duration"], body["estimated_cost"]) == (300, 0.05)


def _check_executed(answer: Answer) -> None:
    status, body = answer
    assert status == 200, body
    assert body.keys() == EXECUTED
    assert (body["status"], body["message"]) == ("success", "Successfully ran 1 model(s)")
    assert body["details"] == {"models_run": ["inbox_emails"], "exit_code": 0}
