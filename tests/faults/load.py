"""Submits executions and answers their questions while faults go on, and keeps what callers were told.

A submission is repeated under its own start key until it is answered: an accepted id is one that a caller was told.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random
from uuid import UUID

import psycopg
from django.db import Error, connection
from django.utils import timezone

from accounts.models import Tenant
from accounts.services import create_tenant, create_user, issue_api_key
from connectors.services import save_connection
from core.actors import SYSTEM, Actor, ActorKind
from core.errors import DomainError
from executions.gate_models import Breaker
from executions.models import Execution
from executions.services import (
    ExecutionEnded,
    answer_request,
    cancel_execution,
    close_breaker,
    pause_execution,
    resume_execution,
    start_execution,
)
from executions.services.capping import BreakerIsClosed
from manual.models import ManualRequest
from manual.services import Answer
from playbooks.cacao.types import Step
from playbooks.models import PlaybookVersion
from tests.faults.nodes import LOOPBACK, Stack
from tests.faults.shapes import Mix, calling, chained, workflow_of
from tests.flows.starting import store_workflow

ROBOT = Actor(kind=ActorKind.USER, id="robot", name="the robot", permissions=frozenset({"manual:respond"}))
OPERATOR = Actor(kind=ActorKind.USER, id="operator", name="the operator", permissions=frozenset({"settings:write"}))
PLAYBOOKS = 50
TENANTS = 20
#: the longest time one call to the ledger may take, seconds
CALL_LIMIT = 10
#: looked for in rows, events and logs afterwards: it stands in every connection's secret
CANARY = "canary-4f1d9be2c07a"

STEER: dict[str, Callable[..., Execution]] = {
    "cancel": cancel_execution,
    "pause": pause_execution,
    "resume": resume_execution,
}
LIVE = "SELECT count(*) FROM executions_execution WHERE status IN ('pending', 'running') AND held_at IS NULL"
ENDED = "SELECT count(*) FROM executions_execution WHERE ended_at IS NOT NULL AND parent_step_run_id IS NULL"


class Load:
    """``window``: how many executions may be under way before the next is submitted."""

    def __init__(self, stack: Stack, mix: Mix, *, runs: int, seed: int, through_api: bool) -> None:
        self.stack, self.mix, self.runs, self.seed = stack, mix, runs, seed
        self.window = min(max(8, runs // 2), 3 * stack.shape.nodes * stack.shape.threads)
        self.accepted: list[UUID] = []
        self.statuses: Counter[int] = Counter()  # what the API answered; 0 for a connection that broke
        self.answered = 0
        self.broken: list[str] = []  # why a thread of the load ended
        self.faults_suffice: Callable[[], bool] = lambda: True
        self._random = Random(seed)
        self._stop = threading.Event()
        self.is_submitted = threading.Event()
        self._through_api = through_api
        self._tenants: list[Tenant] = []
        self._keys: dict[UUID, str] = {}
        self._versions: list[PlaybookVersion] = []
        self._numbers: list[int] = []
        self._threads: list[threading.Thread] = []
        self.canary_version: PlaybookVersion | None = None
        self._watched = 0
        self._steerable: list[UUID] = []

    # --- before ---

    def prepare(self) -> None:
        """Make tenants, connections to the ledger, and playbooks."""
        now = timezone.now()
        for number in range(min(TENANTS, max(2, self.runs // 10))):
            tenant = create_tenant(slug=f"tenant-{number}", name=f"Tenant {number}", now=now, rate_tier="enterprise")
            self._tenants.append(tenant)
            self._connect(tenant)
            if self.stack.shape.apis:
                owner = create_user(
                    tenant=tenant, email=f"owner@tenant-{number}.example", password=None, role="admin", now=now
                )
                self._keys[tenant.pk] = issue_api_key(tenant=tenant, owner=owner, name="load", now=now)[1]
        children = {
            tenant.pk: store_workflow(tenant, chained([[calling("keyed", "keyed-1", "ok")]]))
            for tenant in self._tenants
        }
        for number in range(max(PLAYBOOKS, len(self._tenants))):
            tenant = self._tenants[number % len(self._tenants)]
            child = children[tenant.pk].playbook.cacao_id
            workflow = workflow_of(self._random, self.mix, number=number, child=child)
            self._versions.append(store_workflow(tenant, workflow))
        self.canary_version = children[self._tenants[0].pk]

    def _connect(self, tenant: Tenant) -> None:
        port = self.stack.port_for("ledger", "worker")
        settings = {"trace_headers": True, "call_limit": CALL_LIMIT}
        for name, kind, path, keyed, more in (
            ("keyed", "http", "", True, {}),
            ("idempotent", "http", "", True, {"idempotent": True}),
            ("unsafe", "http", "", False, {}),
            ("chat", "slack", "/slack", False, {}),
        ):
            save_connection(
                tenant=tenant, kind=kind, name=name, url=f"http://{LOOPBACK}:{port}{path}", keyed=keyed,
                secrets={"token": f"{CANARY}-{name}"}, settings={**settings, **more}, allow_networks=("127.0.0.0/8",),
                hosts=(), now=timezone.now(),
            )  # fmt: skip

    def key_of(self, tenant: Tenant) -> str:
        return self._keys[tenant.pk]

    @property
    def tenants(self) -> list[Tenant]:
        return self._tenants

    # --- while ---

    def start(self) -> None:
        works = [(self._submit_all, "submitter"), (self._answer_all, "robot")]
        works += [(self._call_all, "caller")] if self._through_api else []
        for work, name in works:
            thread = threading.Thread(target=self._kept, args=(work,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def ended(self) -> int:
        """How many executions are over; raises psycopg.Error while the database is away."""
        return int(self.stack.look(ENDED)[0][0])

    def stop(self) -> None:
        """End the robot; the submitter has ended by itself."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _kept(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            logging.getLogger(__name__).exception("the load broke off")
            self.broken.append(f"{work.__name__}: {type(error).__name__}: {error}")
        finally:
            connection.close()

    def _submit_all(self) -> None:
        number = 0
        try:
            while not self._stop.is_set() and (number < self.runs or not self.faults_suffice()):
                while self._is_full() and not self._stop.wait(0.05):
                    pass
                self._submit(number)
                number += 1
        finally:
            self.is_submitted.set()

    def _is_full(self) -> bool:
        try:
            return int(self.stack.look(LIVE)[0][0]) >= self.window
        except psycopg.Error:
            return False  # the submission itself finds out

    def _submit(self, number: int) -> None:
        version = self._versions[number % len(self._versions)]
        while not self._stop.is_set():
            try:
                if not self._through_api:
                    self.accepted.append(self.start_one(version, f"load-{number}"))
                    return
                if (found := self._post(version, number)) is not None:
                    self._numbers.append(found)
                    return
            except (Error, OSError, http.client.HTTPException):
                connection.close()
                self.statuses[0] += 1
            self._stop.wait(0.1)

    def start_one(self, version: PlaybookVersion, key: str) -> UUID:
        execution = start_execution(
            tenant=version.tenant, version=version, inputs={"variables": {}}, options={}, actor=SYSTEM,
            now=timezone.now(), start_key=hashlib.sha256(key.encode()).hexdigest(), start_digest="load",
        )  # fmt: skip
        return execution.pk

    def _call_all(self) -> None:
        """Start a small playbook twice a second, however much is under way: a caller for every moment of a fault."""
        assert self.canary_version is not None
        number = 0
        while not self._stop.wait(0.5) and not self.is_submitted.is_set():
            try:
                found = self._post(self.canary_version, number, key="call")
            except (OSError, http.client.HTTPException):
                self.statuses[0] += 1
                continue
            if found is not None:
                self._numbers.append(found)
                number += 1

    def _post(self, version: PlaybookVersion, number: int, *, key: str = "load") -> int | None:
        """Start one execution through an API server; return its number, or None if it is to be asked again."""
        port = self.stack.port_for_api(number)
        client = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
        headers = {"Authorization": f"Bearer {self._keys[version.tenant_id]}", "Idempotency-Key": f"{key}-{number}"}
        try:
            client.request("POST", f"/api/playbooks/pb-{version.playbook.slug}/run", headers=headers)
            answer = client.getresponse()
            octets = answer.read()
            self.statuses[answer.status] += 1
            if 300 <= answer.status < 500 and answer.status != 429:
                raise AssertionError(f"a start was answered with {answer.status}: {octets[:300]!r}")
            if answer.status >= 300:
                return None
            return int(str(json.loads(octets)["data"]["execution_id"]).removeprefix("pexec-"))
        finally:
            client.close()

    def store(self, step: Step) -> PlaybookVersion:
        """Make a playbook of one step, of the first tenant."""
        return store_workflow(self._tenants[0], chained([[step]]))

    def take_unwatched(self) -> tuple[str, str] | None:
        """Return an execution that nobody follows yet, and a key of its tenant."""
        if self._watched >= len(self.accepted):
            return None
        execution, version = self.accepted[self._watched], self._versions[self._watched % len(self._versions)]
        self._watched += 1
        return str(execution), self._keys[version.tenant_id]

    def cancel_one(self) -> str:
        """Cancel an execution that is under way; see ``steer_one``."""
        return self.steer_one("cancel")

    def steer_one(self, word: str) -> str:
        """Cancel, pause or resume an execution at random: "done", "too late", or "" where nothing came of it."""
        try:
            if not self._steerable or self._random.random() < 0.1:
                recent = (
                    "SELECT id FROM executions_execution WHERE ended_at IS NULL OR ended_at > now() - interval '1 s'"
                )
                self._steerable = [row[0] for row in self.stack.look(f"{recent} ORDER BY random() LIMIT 50")]
            if not self._steerable:
                return ""
            execution = Execution.objects.get(pk=self._steerable.pop())
            STEER[word](execution=execution, actor=ROBOT, now=timezone.now())
        except ExecutionEnded:
            return "too late"
        except (Error, psycopg.Error):
            connection.close()
            return ""
        return "done"

    def resume_all(self) -> bool:
        """Lift every hold; return whether none is left."""
        try:
            for execution in Execution.objects.filter(held_at__isnull=False, ended_at=None):
                with suppress(ExecutionEnded):
                    resume_execution(execution=execution, actor=ROBOT, now=timezone.now())
            return not Execution.objects.filter(held_at__isnull=False, ended_at=None).exists()
        except Error:
            connection.close()
            return False

    def close_breakers(self) -> None:
        """What an operator does once the far side is well: nothing waits for one call in turn to try it any more."""
        try:
            for breaker in Breaker.objects.exclude(state="closed"):
                with suppress(BreakerIsClosed):
                    close_breaker(breaker=breaker, actor=OPERATOR)
        except Error:
            connection.close()

    def _answer_all(self) -> None:
        while not self._stop.wait(0.2):
            try:
                for request in ManualRequest.objects.filter(status="open")[:50]:
                    self._answer(request)
            except Error:
                connection.close()

    def _answer(self, request: ManualRequest) -> None:
        try:
            answer_request(request=request, answer=Answer(success=True), actor=ROBOT, now=timezone.now())
            self.answered += 1
        except DomainError:
            pass  # it is gone: stopped, expired, or answered by a commit whose answer was lost

    # --- after ---

    def accepted_ids(self) -> list[UUID]:
        """Every execution that a caller was told of."""
        found = Execution.objects.filter(number__in=self._numbers).values_list("number", "id")
        told = dict(found)
        missing = [number for number in self._numbers if number not in told]
        if missing:
            logging.getLogger(__name__).error("accepted and not there: %s", missing[:10])
        return [*self.accepted, *(told.get(number, UUID(int=number)) for number in self._numbers)]


def wait_for(is_so: Callable[[], bool], seconds: float) -> bool:
    """Look every tenth of a second until it is so; the database may be away meanwhile."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if is_so():
                return True
        except psycopg.Error:
            pass
        time.sleep(0.1)
    return False
