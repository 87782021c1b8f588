"""What one execution may decide by itself, from its options."""

from __future__ import annotations

from executions.engine.decide import LOOP_LIMIT, Rules
from executions.matching import re2_search
from executions.rows import ExecutionRow


def rules_of(execution: ExecutionRow) -> Rules:
    options = execution.options
    return Rules(
        match=re2_search,
        stop_on_failure=bool(options.get("stop_on_failure", False)),
        dry_run=bool(options.get("dry_run", False)),
        loop_limit=int(options.get("loop_limit", LOOP_LIMIT)),
    )
