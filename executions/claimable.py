"""What may be claimed, as one condition of SQL for every statement that asks.

``s`` is the step run, ``e`` its execution. A further reason why something may not be claimed for now belongs into
CLAIMABLE: what is not claimable is neither published nor counted, and nobody yields to it.
"""

from __future__ import annotations

from typing import Final

from executions.caps import MAY_BE_PUBLISHED, MAY_START

QUEUED: Final = "s.status IN ('pending', 'retrying')"
#: the same of rows that are found by their keys (see ``statements``)
QUEUED_BY_KEY: Final = "s.status || '' IN ('pending', 'retrying')"
_GOES_ON: Final = "e.held_at IS NULL AND e.stop_as = ''"
CLAIMABLE: Final = f"{_GOES_ON} AND {MAY_START}"
#: the same before a step run is published anew: what is on its way has its place under a cap
PUBLISHABLE: Final = f"{_GOES_ON} AND {MAY_BE_PUBLISHED}"

#: What each tenant, and each playbook of it, has now: running, or published (a nudge with n step runs counts 1/n
#: for each). Indexes step_run_leases and step_run_published; as many rows as slots and window have room for.
SERVED: Final = f"""
SELECT s.tenant_id, e.playbook_id, 1.0::float8 AS had
  FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
 WHERE s.status = 'running'
UNION ALL
SELECT s.tenant_id, e.playbook_id, 1.0::float8 / GREATEST(s.nudged_with, 1)
  FROM executions_steprun s JOIN executions_execution e ON e.id = s.execution_id
 WHERE {QUEUED} AND s.published_at IS NOT NULL AND s.due_at <= clock_timestamp() AND {CLAIMABLE}
"""  # noqa: S608 (constants of this module)
