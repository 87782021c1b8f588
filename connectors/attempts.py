"""One attempt at a step: its calls one after the other, their secrets, limits and records."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar, cast

from django.db import DatabaseError

from connectors import loop, registry, routing, services, tokens
from connectors.base import Command, Endpoint, Outcome, OutcomeKind, ProbeAnswer, Prober, completed, failed, unknown
from connectors.fake.connector import outcome_of
from connectors.opening import opened
from connectors.planning import PlannedCall
from connectors.watching import watcher
from core.errors import DomainError
from core.logs import scrubbing
from core.secrets import Scrubber, Secret

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: a connection may ask for longer calls than its operation declares, up to this
LONGEST_CALL = timedelta(minutes=10)
#: codes of outcomes after which the next address of a target is tried (D34)
_UNREACHED = frozenset({"connect_failed", "dns_failed"})
#: codes of outcomes that a time limit may have made
_NO_ANSWER = frozenset({"no_answer", "timeout_before_send"})
_TEXT = 300


def call_limit(call: PlannedCall) -> timedelta:
    """Return the hard limit of one call: the connection's setting ``call_limit`` (seconds), or the operation's own."""
    seconds = call.endpoints[0].settings.get("call_limit") if call.endpoints else None
    if isinstance(seconds, int | float) and seconds > 0:
        return min(timedelta(seconds=seconds), LONGEST_CALL)
    return call.spec.call_limit


@dataclass
class _Sending:
    """The last look at the lease before the first byte, and the note that it was passed."""

    check: Callable[[], bool] | None
    has_begun: bool = False

    def __call__(self) -> bool:
        if self.check is not None and not self.check():
            return False
        self.has_begun = True
        return True


class Attempt:
    """Carries out or probes the calls of one attempt and remembers which secrets it used."""

    def __init__(
        self,
        *,
        fence: int,
        headers: Mapping[str, str],
        before_send: Callable[[], bool] | None,
        time_limit: timedelta,
        stop: threading.Event | None,
    ) -> None:
        self._fence = fence
        self._headers = headers
        self._before_send = before_send
        self._ends_at = time.monotonic() + time_limit.total_seconds()
        self._stop = stop
        self._secrets: list[Secret] = []
        self._made: tuple[int, Scrubber] | None = None
        self._records: list[dict[str, Any]] = []
        self.was_stopped = False

    def carry_out(self, call: PlannedCall) -> Outcome:
        """Make one call, at the next address of its target where no connection could be made to the one before."""
        began = time.monotonic()
        made = self._begun(call) if call.spec.toolkit else call
        outcome = made if isinstance(made, Outcome) else self._at_each_address(made)
        self._note(call, outcome, began)
        self._mark_connection(call, outcome)
        return self._ended(call, outcome) if call.spec.toolkit else outcome

    def _begun(self, call: PlannedCall) -> PlannedCall | Outcome:
        """The call of a toolkit's action with a token that is good now; or why it is not made."""
        objection = watcher().begins(call, fence=self._fence)
        if objection:
            return failed("circuit_open", objection, sent=False)
        if call.connection is None:
            return call
        fresh = tokens.made_fresh(call.connection, key=call.key)
        if isinstance(fresh, Outcome):
            return fresh
        tokens.note_used(fresh)
        return replace(call, connection=fresh, credential=routing.credential_of(fresh))

    def _ended(self, call: PlannedCall, outcome: Outcome) -> Outcome:
        """The outcome of a toolkit's action: a refused token that can be refreshed is worth another try, at once."""
        is_refused = outcome.code == "unauthorized" and outcome.sent and call.connection is not None
        if is_refused and call.connection is not None and tokens.note_refused(call.connection, key=call.key):
            outcome = replace(outcome, retry=None, retry_at=timedelta(0))
        watcher().ended(call, self.scrubbed(outcome)[0], fence=self._fence)
        return outcome

    def probe(self, call: PlannedCall) -> tuple[ProbeAnswer, Outcome | None]:
        """Ask whether the effect of this call's key is there. Whatever goes wrong, the answer is *cannot tell*."""
        prober = cast(Prober, registry.connector_of(call.spec.name))
        try:
            command = self._command(call, call.endpoints[0], _Sending(None))
            answer, found = self._run(prober.probe(command), command)
            if call.spec.toolkit and answer is not ProbeAnswer.NOT_THERE:
                told = found or (
                    completed() if answer is ProbeAnswer.THERE else unknown("Nobody knows if it was done.")
                )
                watcher().ended(call, self.scrubbed(told)[0], fence=self._fence)
            return answer, found
        except loop.Stopped:
            self.was_stopped = True
        except (loop.OutOfTime, DomainError):
            pass
        except Exception as error:
            self._log_fault(call, error)
        return ProbeAnswer.CANNOT_TELL, None

    def scrubbed(self, outcome: Outcome) -> tuple[Outcome, tuple[Mapping[str, Any], ...], bool]:
        """Return outcome and records without the secrets used, and whether any was found in them (SEC-20)."""
        if not self._secrets:
            return outcome, tuple(self._records), False
        scrubber = self._scrubber()
        clean = replace(
            outcome,
            output=scrubber.value(outcome.output),
            stderr=scrubber.value(outcome.stderr),
            headers=scrubber.value(dict(outcome.headers)),
            message=scrubber.text(outcome.message),
        )
        records = tuple({**record, "message": scrubber.text(record["message"])} for record in self._records)
        return clean, records, clean != outcome or list(records) != self._records

    def _scrubber(self) -> Scrubber:
        """The scrubber of the secrets opened so far; making one is dear, so it is kept until another is opened."""
        if self._made is None or self._made[0] != len(self._secrets):
            self._made = (len(self._secrets), Scrubber(self._secrets))
        return self._made[1]

    def _at_each_address(self, call: PlannedCall) -> Outcome:
        if registry.connector_name(call.spec.name) == "fake":
            return outcome_of(Command(operation=call.spec.name, arguments=call.arguments, key=call.key))
        outcome = failed("no_target", "There is no address to call.", sent=False, retry=False)
        for endpoint in call.endpoints:
            outcome = self._at(call, endpoint)
            if outcome.sent or outcome.code not in _UNREACHED:
                break
        return outcome

    def _at(self, call: PlannedCall, endpoint: Endpoint) -> Outcome:
        connector = registry.connector_of(call.spec.name)
        sending = _Sending(self._before_send)
        if connector is None:
            return failed("no_connector", f"Nothing here carries out {call.spec.name}.", sent=False, retry=False)
        try:
            command = self._command(call, endpoint, sending)
        except DomainError as error:
            return failed(error.code, error.message, sent=False, retry=False)
        try:
            outcome = self._run(connector.run(command), command)
            # A client's own limit may fire first; the end of the step's time is an expiry all the same.
            return self._out_of_time(sending) if outcome.code in _NO_ANSWER and self._is_over() else outcome
        except loop.Stopped:
            self.was_stopped = True
            return _ended("cancelled", "The call was stopped.", sending)
        except loop.OutOfTime:
            return self._out_of_time(sending)
        except Exception as error:
            self._log_fault(call, error)
            return _ended("connector_error", f"The connector failed: {type(error).__name__}.", sending)

    def _run(self, call: Coroutine[Any, Any, T], command: Command) -> T:
        """Run a call on the loop thread; what is logged meanwhile shows none of the secrets in use (SEC-20)."""
        logged = scrubbing(self._scrubber()) if self._secrets else nullcontext()
        with logged:
            return loop.run(call, time_limit=command.time_limit, stop=self._stop)

    def _command(self, call: PlannedCall, endpoint: Endpoint, sending: _Sending) -> Command:
        """Open the secrets and make the command. Raises DomainError where they do not open or may not go there."""
        secrets = opened(call.credential, endpoint)
        self._secrets += secrets.values()
        left = timedelta(seconds=max(self._ends_at - time.monotonic(), 0.001))
        return Command(
            operation=call.spec.name,
            arguments=call.arguments,
            key=call.key,
            endpoint=replace(endpoint, secrets=secrets),
            time_limit=min(call_limit(call), left),
            effect=call.effect,
            fence=self._fence,
            headers=self._headers,
            before_send=sending,
        )

    def _out_of_time(self, sending: _Sending) -> Outcome:
        if self._is_over():
            message = "The step's time was over during the call."
            return Outcome(OutcomeKind.EXPIRED, code="timed_out", message=message, sent=sending.has_begun)
        return _ended("time_limit", "There was no answer within the call's time limit.", sending)

    def _is_over(self) -> bool:
        return time.monotonic() >= self._ends_at

    def _note(self, call: PlannedCall, outcome: Outcome, began: float) -> None:
        """Keep what the attempt's row shows of this call: no arguments, no output."""
        self._records.append(
            {
                "key": call.key,
                "operation": call.spec.name,
                "connection": call.connection.name if call.connection else None,
                "destination": call.destination,
                "effect_class": str(call.effect),
                "outcome": str(outcome.kind),
                "code": outcome.code,
                "message": outcome.message[:_TEXT],
                "status": outcome.status,
                "exit_code": outcome.exit_code,
                "sent": outcome.sent,
                "milliseconds": round((time.monotonic() - began) * 1000),
            }
        )

    def _mark_connection(self, call: PlannedCall, outcome: Outcome) -> None:
        """Show on the connection that its credential was refused, and take the mark away when a call works again."""
        connection = call.connection
        if connection is None or (outcome.code != "unauthorized" and not connection.last_error):
            return
        refused = outcome.code == "unauthorized"
        if not refused and outcome.kind is not OutcomeKind.COMPLETED:
            return
        try:
            services.note_last_error(connection=connection, error=outcome.message if refused else "")
        except DatabaseError:
            logger.warning("The mark of connection %s could not be written.", connection.id)

    def _log_fault(self, call: PlannedCall, error: Exception) -> None:
        """Say where a connector failed. Neither message nor traceback: both may quote what was sent."""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place is not None else "?"
        logger.error("%s failed: %s at %s", call.spec.name, type(error).__name__, where)


def _ended(code: str, message: str, sending: _Sending) -> Outcome:
    """The outcome of a call that was cut short: unknown once something was sent."""
    if sending.has_begun:
        return unknown(message)
    return failed(code, message, sent=False)
