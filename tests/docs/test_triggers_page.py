"""The commands of the page about triggers do what the page says, run as they are printed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest

from accounts.services import create_user, issue_api_key
from config.home import ROOT
from executions.models import Execution
from playbooks.models import Trigger
from tests.executions.test_triggers import saying
from tests.factories import NOON
from tests.flows.starting import make_tenant, store_workflow

PAGE = (ROOT / "docs/triggers.md").read_text()
#: the first block says where and who; the tests say that themselves
SHELL = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1:]
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(transactional_db: None, live_server: Any) -> dict[str, str]:
    """The variables of the page, for a server that listens and a playbook that is stored."""
    if not all(shutil.which(tool) for tool in ("sh", "curl", "openssl", "python3")):
        pytest.skip("the page's commands need a shell, curl, openssl and python3")
    tenant = make_tenant()
    owner = create_user(tenant=tenant, email="o@acme.example", password=None, role="admin", now=NOON)
    key = issue_api_key(tenant=tenant, owner=owner, name="page", now=NOON)[1]
    store_workflow(tenant, saying(), slug="first-look", trigger={"event": "finding.new", "conditions": {}})
    return {**os.environ, "URL": live_server.url, "KEY": key, "PLAYBOOK": "pb-first-look"}


def test_the_printed_commands_make_triggers_and_start_executions(shell: dict[str, str]) -> None:
    marked = "\necho; echo ----\n".join([*SHELL[:-1], 'echo "$HOOK $SECRET"', SHELL[-1]])
    done = subprocess.run(["sh", "-euc", marked], env=shell, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    schedule, _, delivered, hook, event = done.stdout.split("\n----\n")
    assert json.loads(schedule)["cron"] == "30 6 * * 1-5"
    [by_hook] = json.loads(delivered)["started"]
    [by_event] = json.loads(event)["started"]
    inputs = {str(execution.pk): execution.inputs for execution in Execution.objects.all()}
    assert inputs[by_hook["execution_id"]]["webhook"]["title"] == "Log4Shell"
    assert inputs[by_event["execution_id"]]["finding"]["title"] == "Log4Shell"
    assert Trigger.objects.count() == 3

    path, secret = hook.split()
    env = shell | {"HOOK": path, "SECRET": secret}
    sent = subprocess.run([sys.executable, "-c", PYTHON[0]], env=env, capture_output=True, text=True, timeout=60)
    assert sent.returncode == 0, sent.stderr
    assert len(json.loads(sent.stdout)["started"]) == 1
