"""Kill switches as SQL: one condition, written once, that claim, intent, renewal and dispatcher all ask.

A switch stops calls; what only reads goes on unless the switch names reads. What a step run's calls go through is known
only once they were planned, so ``executions_steprun.needs`` says it from then on (``needs_of`` in ``gates.py``), and
a step run that nothing is known of is stopped only by a switch that stops everything.
"""

from __future__ import annotations

#: an element of ``needs``: its calls are more than reads
EFFECTS = "effects"


def _over(*, run: str, needs: str, sharing: str = "OFFSET 0") -> str:
    """Return the condition "a switch is on over this step run". ``run``: alias of executions_steprun.

    Index switches_that_are_on (partial): where no switch is on, nothing is read but an empty index. OFFSET 0 keeps the
    planner from joining: it would take the rows that are left for few, and read the others in the wrong order.
    """
    return f"""EXISTS (
    SELECT 1 FROM executions_switch w
     WHERE w.lifted_at IS NULL AND (w.tenant_id IS NULL OR w.tenant_id = {run}.tenant_id)
       AND (w.blocks_reads OR '{EFFECTS}' = ANY({needs}))
       AND CASE WHEN w.kind IN ('global', 'tenant') THEN TRUE
                WHEN w.kind = 'playbook'
                THEN w.value = (SELECT x.playbook_id::text FROM executions_execution x WHERE x.id = {run}.execution_id)
                ELSE w.kind || ':' || w.value = ANY({needs}) END
    {sharing})"""  # noqa: S608 (constants of this code)


#: for a statement whose step run is ``s``, by what is known of it
SWITCHED = _over(run="s", needs="s.needs")

# For the intent, whose alias ``plan`` holds what is about to be called. FOR KEY SHARE is what gives an intent and a
# switch an order: a statement that locks rows takes ROW SHARE on their table before it takes its snapshot, and keeps
# it to its commit, also where no row is found. Setting a switch takes EXCLUSIVE on the table first. So either the
# intent commits before the switch is even inserted, or it waits and then sees the switch. It costs nothing while no
# switch is being set: such locks are the session's own and touch no shared memory. Reading the table (a backup, the
# admin) conflicts with neither.
SWITCHED_PLAN = _over(run="s", needs="plan.needs", sharing="FOR KEY SHARE")

#: the same for a call that notes no intent
SWITCHED_READ = _over(run="s", needs="plan.needs")

#: taken by whoever sets a switch, before the insert
LOCK_OUT_INTENTS = "LOCK TABLE executions_switch IN EXCLUSIVE MODE"
