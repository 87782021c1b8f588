"""``dbt.run`` and ``dbt.deps``: dbt in a project directory of this machine, and what its artefacts say of the run."""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from connectors.base import Command, Endpoint, Outcome, completed, failed
from connectors.dbt import client
from connectors.dbt.projects import NoDbt, ProjectUnknown, program, project_of
from core import strict_json

#: artefacts larger than this are not read
LARGEST = 16 * 2**20
_SHOWN = 500
_STAMPED = re.compile(r"\d\d:\d\d:\d\d ")


class DbtConnector:
    """Each run has a directory of its own for logs and artefacts: runs side by side do not read each other's."""

    async def run(self, command: Command) -> Outcome:
        endpoint = command.endpoint
        if endpoint is None:
            return failed("no_target", "dbt needs a project.", sent=False, retry=False)
        try:
            project, dbt = project_of(endpoint), program()
        except (ProjectUnknown, NoDbt) as error:
            return failed(error.code, error.message, sent=False, retry=False)
        with tempfile.TemporaryDirectory(prefix="dbt-", ignore_cleanup_errors=True) as scratch:
            argv = [dbt, *_argv(command.operation, command.arguments), *_options(endpoint, project.directory)]
            environ = _environ(endpoint, dbt, Path(scratch))
            if command.before_send is not None and not command.before_send():
                return failed("lease_lost", "The lease was over before dbt was started.", sent=False)
            try:
                finished = await client.run(argv, directory=project.directory, environ=environ)
            except OSError as error:
                return failed("no_connector", f"dbt cannot be started: {error.strerror}.", sent=False, retry=False)
            return _outcome(command, finished, _results(Path(scratch)))


def _argv(operation: str, arguments: Mapping[str, Any]) -> list[str]:
    if operation == "dbt.deps":
        return ["deps"]
    plus = "+" if arguments.get("upstream") else ""
    refresh = ["--full-refresh"] if arguments.get("full_refresh") else []
    names = [f"{plus}{name}" for name in arguments["models"]]
    # --models is the older spelling, which dbt answers with a warning.
    return ["run", "--select", *names, *refresh, "--threads", str(arguments.get("threads", 4))]


def _options(endpoint: Endpoint, directory: Path) -> list[str]:
    options = ["--project-dir", str(directory), "--profiles-dir", str(directory), "--no-use-colors"]
    target = endpoint.settings.get("target")
    return [*options, "--target", str(target)] if target else options


def _environ(endpoint: Endpoint, dbt: str, scratch: Path) -> dict[str, str]:
    """Nothing of the worker's own. dbt itself keeps variables with the prefix DBT_ENV_SECRET out of its logs."""
    secrets = {f"DBT_ENV_SECRET_{name.upper()}": secret.reveal() for name, secret in endpoint.secrets.items()}
    return {
        "PATH": os.pathsep.join((str(Path(dbt).parent), "/usr/local/bin", "/usr/bin", "/bin")),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_TARGET_PATH": str(scratch / "target"),
        "DBT_LOG_PATH": str(scratch / "logs"),
        # A name that selects nothing is a mistake of the caller, not a run of nothing.
        "DBT_WARN_ERROR_OPTIONS": '{"error": ["NoNodesForSelectionCriteria"]}',
        **secrets,
    }


def _results(scratch: Path) -> Sequence[Mapping[str, Any]]:
    """What ``run_results.json`` says of each node; empty where dbt came to none."""
    path = scratch / "target" / "run_results.json"
    try:
        if path.stat().st_size > LARGEST:
            return ()
        found = strict_json.loads(path.read_bytes())
    except (OSError, strict_json.JsonInvalid):
        return ()
    results = found.get("results") if isinstance(found, dict) else None
    return [result for result in results if isinstance(result, dict)] if isinstance(results, list) else ()


def _outcome(command: Command, finished: client.Finished, results: Sequence[Mapping[str, Any]]) -> Outcome:
    output: dict[str, Any] = {"exit_code": finished.exit_code, "logs_url": _logs_url(command)}
    if command.operation == "dbt.run":
        output["models_run"] = [_name(result) for result in results if result.get("status") == "success"]
    if finished.exit_code == 0 and output.get("models_run") != []:
        return completed(output, stderr=finished.output, exit_code=0)
    return failed(
        "command_failed",
        f"dbt ended with exit code {finished.exit_code}: {_why(finished, results)}",
        sent=True,
        retry=False,
        output=output,
        stderr=finished.output,
        exit_code=finished.exit_code,
    )


def _name(result: Mapping[str, Any]) -> str:
    return str(result.get("unique_id", "")).rpartition(".")[2]


def _why(finished: client.Finished, results: Sequence[Mapping[str, Any]]) -> str:
    """The first node that failed, else what dbt says it met, else the last lines that it wrote."""
    for result in results:
        if result.get("status") in ("error", "fail"):
            return _brief(f"{_name(result)}: {result.get('message') or 'no reason given'}".splitlines())
    lines = finished.output.splitlines()
    met = next((number for number, line in enumerate(lines) if line.endswith("Encountered an error:")), None)
    if met is None:
        return _brief(lines[-4:]) or "it wrote nothing"
    said = itertools.takewhile(lambda line: not _STAMPED.match(line), lines[met + 1 :])
    return _brief(list(said))


def _brief(lines: Sequence[str]) -> str:
    """One line, without the paths of this machine."""
    kept = [line.strip() for line in lines if line.strip() and not line.strip().startswith("compiled code at ")]
    return " ".join(kept)[:_SHOWN]


def _logs_url(command: Command) -> str | None:
    """The connection's ``logs_url``, its ``{task_id}`` and ``{key}`` filled in."""
    template = command.endpoint.settings.get("logs_url") if command.endpoint else None
    if not isinstance(template, str):
        return None
    task = quote(str(command.arguments.get("task_id") or ""), safe="")
    return template.replace("{task_id}", task).replace("{key}", quote(command.key, safe=""))
