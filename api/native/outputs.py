"""How this family shows things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from executions import phases
from executions.selectors import Figures, Wait, Waits
from playbooks.selectors import workflow_by_id

if TYPE_CHECKING:
    from connectors.models import Connection
    from executions.models import Attempt, Event, Execution, Review, StepRun

MOST_ATTEMPTS: Final = 50
_MEANINGS: Final[Mapping[str, str]] = {
    "happened": "It took place: the step is completed, with the output that you give.",
    "happened_part": "It took place: the step goes on with its next command.",
    "again": "It did not: the step acts once more.",
    "give_up": "Nobody knows: the step has failed, and its on_failure is followed.",
    "note": "The step has ended already; this is noted, and moves nothing.",
}


def execution(row: Execution, waits: Waits | None) -> dict[str, Any]:
    waits = waits or Waits()
    parent = row.parent_step_run
    return {
        "id": row.pk,
        "name": str(row),
        "playbook": {
            "id": row.playbook_id,
            "cacao_id": row.playbook.cacao_id,
            "slug": f"pb-{row.playbook.slug}",
            "name": row.playbook.name,
            "version": row.version.label,
        },
        "dialect": row.dialect,
        "status": row.status,
        "reason": row.reason,
        "message": row.message,
        "held": {"at": row.held_at, "by": row.held_by or "operator"} if row.held_at else None,
        "stop": _stop(row),
        "dry_run": bool(row.options.get("dry_run")),
        "started_by": {"kind": row.actor.get("kind", ""), "name": row.actor.get("name", "")},
        "parent": {"execution": parent.execution_id, "step_run": parent.pk, "step": parent.step_id} if parent else None,
        "again_of": row.again_of_id,
        "depth": row.depth,
        "failed_steps": row.failed_steps,
        "last_seq": row.last_seq,
        "deadline_at": row.deadline_at,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "stream": f"/ws/executions/{row.pk}",
        "waits_for": [wait(found) for found in waits.listed],
        "waits_total": waits.total,
    }


def _stop(row: Execution) -> dict[str, Any] | None:
    if not row.stop_as:
        return None
    return {"stop_as": row.stop_as, "reason": row.stop_reason, "requested_at": row.stop_requested_at}


def wait(found: Wait) -> dict[str, Any]:
    return {**asdict(found), "by": found.by or None}


def step_run(row: StepRun, attempts: Sequence[Attempt]) -> dict[str, Any]:
    size = getattr(row, "result_size", None) or 0
    result = getattr(row, "small_result", None) or {}
    return {
        "id": row.pk,
        "step": row.step_id,
        "scope": row.scope_path,
        "type": row.step_type,
        "kind": row.kind,
        "position": row.position,
        "status": row.status,
        "reason": row.reason,
        "message": row.message,
        "effect": row.effect,
        "effective_class": row.effective_class,
        "output": result.get("output"),
        "output_omitted": bool(size) and not result,
        "decided": row.verdict,
        "by": row.actor,
        "due_at": row.due_at,
        "deadline_at": row.deadline_at,
        "first_intent_at": row.first_intent_at,
        "class_valid_until": row.class_valid_until,
        "quarantine_until": row.quarantine_until,
        "lost_attempts": row.lost_attempts,
        "tries": row.tries,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "attempts": [attempt(found) for found in attempts[-MOST_ATTEMPTS:]],
        "attempts_total": len(attempts),
    }


def attempt(row: Attempt) -> dict[str, Any]:
    """Without its worker: that names a host."""
    return {
        "number": row.number,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "outcome": row.outcome,
        "code": row.code,
        "message": row.message,
        "calls": row.calls,
        "late_note": row.late_note,
    }


def event(row: Event) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "type": row.type,
        "at": row.at,
        "execution_id": row.execution_id,
        "step_run_id": row.step_run_id,
        "data": row.data,
    }


def review(row: Review, *, now: datetime) -> dict[str, Any]:
    is_open = row.status == "open"
    resolved = {"resolution": row.resolution, "reason": row.reason, "by": row.resolved_by, "at": row.resolved_at}
    return {
        "id": row.pk,
        "status": row.status,
        "why": row.why,
        "execution": {
            "id": row.execution_id,
            "name": str(row.execution),
            "status": row.execution.status,
            "playbook": row.execution.playbook_id,
            "playbook_name": row.execution.playbook.name,
        },
        "step": row.step_run.step_id,
        "step_run": row.step_run_id,
        "step_status": row.step_run.status,
        "opened_at": row.opened_at,
        "resolutions": _resolutions(row, now=now) if is_open else [],
        "resolved": None if is_open else resolved,
    }


def review_one(row: Review, attempts: Sequence[Attempt], *, now: datetime) -> dict[str, Any]:
    run, facts = row.step_run, row.facts
    return {
        **review(row, now=now),
        "calls": facts.get("calls", []),
        "effect": run.effect,
        "effective_class": run.effective_class,
        "times": {
            "first_intent_at": run.first_intent_at,
            "lease_lost_at": facts.get("lease_lost_at"),
            "class_valid_until": run.class_valid_until,
            "quarantine_until": run.quarantine_until,
        },
        "probe": facts.get("probe"),
        "attempts": [attempt(found) for found in attempts[-MOST_ATTEMPTS:]],
        "late_notes": [{"attempt": found.number, "note": found.late_note} for found in attempts if found.late_note],
    }


def _resolutions(row: Review, *, now: datetime) -> list[dict[str, Any]]:
    run = row.step_run
    is_uncertain = run.status == "uncertain"
    again_from = run.quarantine_until if is_uncertain else None
    is_part = is_uncertain and not phases.is_last(workflow_by_id(row.execution.version_id).steps[run.step_id], run.note)
    happened = "note" if not is_uncertain else "happened_part" if is_part else "happened"
    return [
        _resolution("happened", meaning=happened, takes_output=is_uncertain and not is_part),
        _resolution(
            "again", meaning="again", possible=is_uncertain and (again_from is None or again_from <= now),
            possible_from=again_from,
        ),
        _resolution("give_up", meaning="give_up" if is_uncertain else "note"),
    ]  # fmt: skip


def _resolution(
    word: str,
    *,
    meaning: str,
    possible: bool = True,
    possible_from: datetime | None = None,
    takes_output: bool = False,
) -> dict[str, Any]:
    return {
        "resolution": word,
        "possible": possible,
        "possible_from": possible_from,
        "takes_output": takes_output,
        "meaning": _MEANINGS[meaning],
    }


def connection(row: Connection, notes: Sequence[str] | None = None) -> dict[str, Any]:
    shown = {
        "id": row.pk,
        "kind": row.kind,
        "name": row.name,
        "url": row.url,
        "settings": row.settings,
        "is_keyed": row.is_keyed,
        "is_enabled": row.is_enabled,
        "allow_networks": row.allow_networks,
        "hosts": row.hosts,
        "secrets": sorted(row.sealed_secrets),
        "last_error": row.last_error,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
    return shown if notes is None else {**shown, "notes": list(notes)}


def queue(figures: Figures) -> dict[str, Any]:
    return {**asdict(figures), "used": round(figures.queued / figures.limit, 4) if figures.limit else None}
