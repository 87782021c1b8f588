"""Fins over HTTP as their clients call, and playbooks with work for them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from django.db import connection
from django.http import HttpResponse
from django.utils import timezone

from accounts.models import Tenant
from api.soarca import waiting
from connectors.fin.models import FinJob
from connectors.fin.services import set_registration_token
from executions.models import StepRun
from executions.services.sweeping import sweep_once
from tests.api.soarca.calls import END, START, STEP, Api, Json, Waiting, manual_playbook, read, run, start, variable

ECHO = "echo-tool"
AGENT = "echo-tool--c1c1c1c1-0000-4000-8000-000000000003"
HOST = "linux--c1c1c1c1-0000-4000-8000-000000000004"
OTHER_HOST = "linux--c1c1c1c1-0000-4000-8000-000000000005"
LOGIN = "user-auth--d1d1d1d1-0000-4000-8000-000000000001"
SECRET = "hunter-seventy-seven"
CAPABILITY: Json = {"type": ECHO, "description": None, "version": None, "step_examples": None}


@dataclass(frozen=True)
class Fin:
    """A registered fin, with its own credential."""

    fin_id: str
    token: str = field(repr=False)

    def send(self, method: str, path: str, body: Any = None) -> HttpResponse:
        return Api().send(method, path, body, Authorization=f"Bearer {self.token}")

    def poll(self, body: Any = None) -> Json | None:
        response = self.send("POST", "/fin/poll", body)
        assert response.status_code in (200, 204), response.content
        return read(response)["job"] if response.status_code == 200 else None

    def ping(self, job: Json, body: Any = None) -> HttpResponse:
        return self.send("PATCH", f"/fin/jobs/{job['job_id']}/status", body)

    def report(self, job: Json, state: str = "success", **more: Any) -> HttpResponse:
        return self.send("PUT", f"/fin/jobs/{job['job_id']}", {"state": state, **more})


def let_fins_in(tenant: Tenant) -> str:
    token = f"register-{uuid4()}"
    set_registration_token(tenant=tenant, token=token, now=timezone.now())
    return token


def registration(token: str, *types: str, **more: Any) -> Json:
    capabilities = [{**CAPABILITY, "type": each} for each in types or (ECHO,)]
    return {
        "registration_token": token, "display_name": None, "protocol_version": "1", "capabilities": capabilities,
        **more,
    }  # fmt: skip


def register(token: str, *types: str) -> Fin:
    response = Api().post("/fin/register", registration(token, *types))
    assert response.status_code == 201, response.content
    return Fin(read(response)["fin_id"], read(response)["fin_token"])


def fin_playbook(**step: Any) -> Json:
    """One step for a fin of the type ``echo-tool``, which writes ``__out__``; no way on after a failure."""
    document = manual_playbook()
    document["playbook_variables"] = {
        "__out__": variable(),
        "__who__": variable(value="nobody"),
        "__token__": variable(value="of no concern"),
    }
    document["workflow"] = {
        START: {"type": "start", "on_completion": STEP},
        STEP: {
            "type": "action",
            "name": "Echo",
            "description": "What the fin is to do",
            "on_success": END,
            "commands": [{"type": "bash", "command": "echo __who__:value"}],
            "agent": AGENT,
            "out_args": ["__out__"],
        }
        | step,
        END: {"type": "end"},
    }
    document["agent_definitions"] = {AGENT: {"type": ECHO, "name": "the echo fin"}}
    document["target_definitions"] = {
        HOST: {
            "type": "linux", "name": "web-1", "address": {"ipv4": ["192.0.2.7"], "vlan": [7]}, "port": "22",
            "authentication_info": LOGIN,
        },
        OTHER_HOST: {"type": "linux", "name": "web-2", "address": {"dname": ["web-2.example.org"]}},
    }  # fmt: skip
    document["authentication_info_definitions"] = {LOGIN: {"type": "user-auth", "username": "soar", "password": SECRET}}
    return document


def start_for_fin(api: Api, **step: Any) -> Waiting:
    return start(api, fin_playbook(**step))


def status_of(api: Api, execution: str, step: str = STEP) -> str:
    report = read(api.get(f"/reporter/{execution}"))
    found: str = report["step_results"][step]["status"]
    return found


def out(api: Api, execution: str, step: str = STEP) -> Json:
    found: Json = read(api.get(f"/reporter/{execution}"))["step_results"][step]["variables"]
    return found


def step_run(execution: str) -> StepRun:
    return StepRun.objects.get(execution_id=execution, step_id=STEP)


def lose_lease(job: Json) -> None:
    """The lease of a job runs out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE connectors_finjob SET lease_until = clock_timestamp() - interval '1 ms' WHERE id = %s",
            (job["job_id"],),
        )


def pass_deadline(execution: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE executions_steprun SET deadline_at = clock_timestamp() - interval '1 ms'"
            " WHERE execution_id = %s AND step_id = %s",
            (execution, STEP),
        )
    sweep_once()
    run(execution)


def stored_jobs() -> list[FinJob]:
    return list(FinJob.objects.order_by("id"))


def close_pool() -> None:
    """Close the connections that the threads of long polls keep, before the test's database goes."""
    together = threading.Barrier(waiting.THREADS)

    def close() -> None:
        together.wait(5)
        connection.close()

    for done in [waiting.pool.submit(close) for _ in range(waiting.THREADS)]:
        done.result(10)
