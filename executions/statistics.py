"""Has PostgreSQL count anew when much has changed: it looks by itself once a minute, and a burst takes seconds.

Plans rest on what was counted last. From before ten thousand starts, "pending" is a status that no row has, and every
index of what is pending looks as good as any other; so for a minute each claim would read all that waits.
"""

from __future__ import annotations

from typing import Final

from django.db import connection

#: tables whose sizes decide how work is found
COUNTED: Final = ("executions_steprun", "executions_execution")

#: as autovacuum's own rule, which is asked once a minute
MUCH = """
SELECT relname FROM pg_stat_user_tables
 WHERE relid = ANY(%s::regclass[]) AND n_mod_since_analyze > n_live_tup / 2 + 2000
"""


def count_anew() -> list[str]:
    """Analyse the tables that have changed much and return their names; plans made with the old figures are dropped.

    Where this user may not analyse a table, PostgreSQL warns and goes on.
    """
    with connection.cursor() as cursor:
        cursor.execute(MUCH, [list(COUNTED)])
        changed = [row[0] for row in cursor.fetchall()]
        for table in changed:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(table)}")
    return changed
