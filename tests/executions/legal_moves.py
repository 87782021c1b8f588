"""Lets the database refuse, while tests run, every move that is not in the tables of ``engine.statuses`` (I2, I3)."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from executions.engine.statuses import EXECUTION_MOVES, STEP_BEGINNINGS, STEP_MOVES, ExecutionStatus, StepStatus

FUNCTION = """
CREATE OR REPLACE FUNCTION test_{name}_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT NEW.status = ANY('{{{beginnings}}}'::text[]) THEN
            RAISE EXCEPTION 'illegal beginning of a {name}: %', NEW.status;
        END IF;
    ELSIF NEW.status <> OLD.status AND NOT (OLD.status || '>' || NEW.status) = ANY('{{{moves}}}'::text[]) THEN
        RAISE EXCEPTION 'illegal move of a {name}: % to %', OLD.status, NEW.status;
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER test_{name}_moves BEFORE INSERT OR UPDATE ON executions_{name}
    FOR EACH ROW EXECUTE FUNCTION test_{name}_moves();
"""


def watch_moves() -> None:
    """Install the triggers in the test's own database, until ``unwatch_moves``."""
    # What is opened and claimed at once (S1, S4) is one insert; its events tell of both.
    _watch("steprun", STEP_BEGINNINGS | {StepStatus.RUNNING}, STEP_MOVES.items())
    _watch("execution", {ExecutionStatus.PENDING}, EXECUTION_MOVES.items())


def unwatch_moves() -> None:
    """Other tests lay rows as they need them, past the services."""
    with connection.cursor() as cursor:
        for name in ("steprun", "execution"):
            cursor.execute(f"DROP TRIGGER IF EXISTS test_{name}_moves ON executions_{name}")


def _watch(name: str, beginnings: Iterable[str], moves: Iterable[tuple[str, Iterable[str]]]) -> None:
    pairs = ",".join(f"{old}>{new}" for old, targets in moves for new in targets)
    with connection.cursor() as cursor:
        cursor.execute(FUNCTION.format(name=name, beginnings=",".join(beginnings), moves=pairs))
