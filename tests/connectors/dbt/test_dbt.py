"""``dbt.run`` and ``dbt.deps`` with a real dbt-core and DuckDB."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import Tenant
from connectors.base import EffectClass, OutcomeKind
from connectors.dbt import client
from connectors.dispatch import plan
from tests.connectors.calls import Connect, Run, operation
from tests.connectors.dbt.projects import dbt_program, make_project

#: no transaction of the test stands open while dbt runs
pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "stand-in-password-of-warehouse"
LONG = timedelta(seconds=90)


@pytest.fixture
def project(tmp_path: Path, settings: Settings, connect: Connect) -> Path:
    """The project of the tenant ``one``, and the connection that names it; the path is that of its warehouse."""
    settings.SALLYPORT_DBT_PROGRAM = dbt_program()
    settings.SALLYPORT_DBT_PROJECTS = {"one/warehouse": str(tmp_path / "project")}
    connect("dbt", "warehouse", "dbt://one/warehouse", settings={"logs_url": "https://logs.example.com/{task_id}"})
    return make_project(tmp_path / "project")


def rerun(*models: str, **more: Any) -> Any:
    return operation("dbt.run", {"task_id": "task-123", "models": list(models), **more})


def tables(warehouse: Path) -> list[str]:
    """What stands in the warehouse, asked by another program than dbt."""
    python = Path(dbt_program()).with_name("python")
    code = (
        f"import duckdb; c = duckdb.connect({str(warehouse)!r}, read_only=True);"
        "print(*sorted(row[0] for row in c.execute('select table_name from information_schema.tables').fetchall()))"
    )
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_models_are_run_and_named(run: Run, project: Path, tenant: Tenant) -> None:
    outcome = run(rerun("triage_results", upstream=True, full_refresh=True, threads=2), time_limit=LONG).outcome

    assert outcome.kind is OutcomeKind.COMPLETED, outcome
    assert outcome.output == {
        "models_run": ["inbox_emails", "triage_results"],
        "exit_code": 0,
        "logs_url": "https://logs.example.com/task-123",
    }
    assert tables(project) == ["inbox_emails", "triage_results"]
    assert plan(tenant_id=tenant.id, calls=[rerun("a")]).effect is EffectClass.IDEMPOTENT
    left = {path.name for path in project.parent.iterdir()}
    assert left == {"dbt_project.yml", "profiles.yml", "models", "warehouse.duckdb"}


def test_a_model_that_fails_says_which_and_why(run: Run, project: Path) -> None:
    outcome = run(rerun("broken"), time_limit=LONG).outcome

    assert (outcome.kind, outcome.code, outcome.retry, outcome.exit_code) == (
        OutcomeKind.FAILED,
        "command_failed",
        False,
        1,
    )
    assert outcome.message.startswith("dbt ended with exit code 1: broken: Runtime Error in model broken")
    assert "nowhere does not exist" in outcome.message
    assert str(project.parent) not in outcome.message
    assert outcome.output["models_run"] == []


def test_a_name_that_is_no_model_runs_nothing(run: Run, project: Path) -> None:
    outcome = run(rerun("inbox_emails", "nobody"), time_limit=LONG).outcome

    assert (outcome.code, outcome.exit_code) == ("command_failed", 2)
    assert "'nobody' does not match any enabled nodes" in outcome.message
    assert not project.exists() or tables(project) == []


def test_the_packages_of_a_project_are_installed(run: Run, project: Path) -> None:
    package = project.parent.parent / "package"
    (package / "models").mkdir(parents=True)
    (package / "dbt_project.yml").write_text("name: helpers\nversion: '1.0'\n")
    (project.parent / "packages.yml").write_text(f"packages:\n  - local: {package}\n")

    outcome = run(operation("dbt.deps", {}), time_limit=LONG).outcome

    assert outcome.output == {"exit_code": 0, "logs_url": "https://logs.example.com/"}
    assert (project.parent / "dbt_packages" / "helpers").exists()


def test_a_secret_reaches_the_profile_and_no_output(run: Run, connect: Connect, project: Path) -> None:
    connect("dbt", "warehouse", "dbt://one/warehouse", secrets={"password": PASSWORD})
    profile = project.parent / "profiles.yml"
    profile.write_text(profile.read_text().replace(str(project), "{{ env_var('DBT_ENV_SECRET_PASSWORD') }}"))

    results = [run(rerun(model), time_limit=LONG) for model in ("inbox_emails", "broken")]

    assert [result.outcome.exit_code for result in results] == [0, 1]
    assert (project.parent / PASSWORD).exists()  # DuckDB's file: the profile had the secret
    assert PASSWORD not in repr(results)


def test_the_time_limit_ends_the_run_and_everything_it_started(run: Run, project: Path) -> None:
    started = time.monotonic()
    outcome = run(rerun("slow"), time_limit=timedelta(seconds=12)).outcome

    assert outcome.kind is OutcomeKind.EXPIRED
    assert outcome.sent
    assert time.monotonic() - started < 14
    assert running_in(project.parent) == []


def test_a_stop_ends_the_run(run: Run, project: Path) -> None:
    stop = threading.Event()

    def stop_once_it_runs() -> None:
        wait_until(lambda: running_in(project.parent) != [])
        stop.set()

    watcher = threading.Thread(target=stop_once_it_runs)
    watcher.start()
    result = run(rerun("slow"), time_limit=LONG, cancelled=stop)
    watcher.join()

    assert result.was_stopped
    assert running_in(project.parent) == []


def test_a_worker_that_is_killed_takes_its_run_with_it(project: Path) -> None:
    argv = [dbt_program(), "run", "--select", "slow", "--project-dir", str(project.parent)]
    argv += ["--profiles-dir", str(project.parent), "--target-path", str(project.parent / "t")]
    worker = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys, time\n"
         "subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)\ntime.sleep(600)",
         sys.executable, "-I", "-S", str(client.GUARD), *argv],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "DO_NOT_TRACK": "1"},
    )  # fmt: skip
    wait_until(lambda: len(running_in(project.parent)) >= 2)

    worker.send_signal(signal.SIGKILL)
    worker.wait(10)

    wait_until(lambda: running_in(project.parent) == [])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"models": []},
        {"models": "inbox_emails"},
        {"models": ["--profiles-dir=/tmp"]},
        {"models": ["a b"]},
        {"models": ["a;b"]},
        {"models": ["+a"]},
        {"models": [7]},
        {"models": ["a"] * 101},
        {"models": ["a"], "threads": 0},
        {"models": ["a"], "threads": 65},
        {"models": ["a"], "threads": "4"},
        {"models": ["a"], "full_refresh": 1},
        {"models": ["a"], "vars": "{}"},
    ],
)
def test_wrong_arguments_start_nothing(run: Run, project: Path, arguments: dict[str, Any]) -> None:
    outcome = run(operation("dbt.run", arguments)).outcome

    assert (outcome.code, outcome.sent) == ("argument_invalid", False)


def test_without_dbt_nothing_is_sent_and_the_message_says_what_to_do(
    run: Run, connect: Connect, settings: Settings, tmp_path: Path
) -> None:
    make_project(tmp_path / "project")
    settings.SALLYPORT_DBT_PROGRAM = "dbt-that-is-not-here"
    settings.SALLYPORT_DBT_PROJECTS = {"one/warehouse": str(tmp_path / "project")}
    connect("dbt", "warehouse", "dbt://one/warehouse")

    outcome = run(rerun("a")).outcome

    assert (outcome.code, outcome.sent, outcome.retry) == ("no_connector", False, False)
    assert "Install dbt-core" in outcome.message


@pytest.mark.parametrize("name", ["one/other", "two/warehouse", "one/empty"])
def test_only_projects_of_the_deployment_and_of_this_tenant_run(
    run: Run, connect: Connect, other_tenant: Tenant, settings: Settings, tmp_path: Path, name: str
) -> None:
    make_project(tmp_path / "project")
    settings.SALLYPORT_DBT_PROGRAM = sys.executable
    settings.SALLYPORT_DBT_PROJECTS = {"two/warehouse": str(tmp_path / "project"), "one/empty": str(tmp_path)}
    connect("dbt", "warehouse", f"dbt://{name}")

    outcome = run(rerun("a")).outcome

    assert (outcome.code, outcome.sent) == ("destination_refused" if name.startswith("two") else "no_target", False)


@pytest.mark.parametrize(
    "url", ["https://one/warehouse", "dbt://one", "dbt://one/", "dbt://one/a/b", "dbt://one/..", "dbt://one:80/a"]
)
def test_the_address_of_a_connection_names_a_tenant_and_a_project(connect: Connect, url: str) -> None:
    from connectors.services import ConnectionInvalid

    with pytest.raises(ConnectionInvalid):
        connect("dbt", "warehouse", url)


async def test_of_endless_output_only_the_end_is_kept(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.write('x' * 5_000_000 + 'the end'); sys.stderr.write('!'); sys.exit(3)"
    finished = await client.run([sys.executable, "-c", code], directory=tmp_path, environ={})

    assert finished.exit_code == 3
    assert len(finished.output) == client.KEPT
    assert "the end" in finished.output


def running_in(directory: Path) -> list[int]:
    """Processes whose command line names the directory."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if str(directory).encode() in words and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def wait_until(holds: Any) -> None:
    pause, until = threading.Event(), time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        pause.wait(0.02)
