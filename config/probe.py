"""``python -m config.probe ROLE``: exit code 0 if this container's process is well. For health checks of containers.

``web`` asks the process itself; the others look for a fresh heartbeat of this host in the database, since
those processes listen nowhere. Django is not set up: a check every few seconds must be cheap.
"""

from __future__ import annotations

import argparse
import socket
import sys

from config.processes import status_of

FRESH_WITHIN = 15  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("web", "work", "sweep", "fins"))
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    is_well = status_of(options.port, "/health/live") == 200 if options.role == "web" else _beats(options.role)
    print("well" if is_well else f"{options.role} does not answer")
    return 0 if is_well else 1


def _beats(role: str) -> bool:
    import psycopg

    from config.settings import DATABASES

    database = DATABASES["default"]
    with psycopg.connect(
        dbname=database["NAME"],
        user=database["USER"],
        password=database["PASSWORD"] or None,
        host=database["HOST"] or None,
        port=database["PORT"] or None,
        connect_timeout=5,
    ) as connection:
        found = connection.execute(
            "SELECT 1 FROM executions_node WHERE role = %s AND split_part(split_part(name, '@', 2), ':', 1) = %s"
            " AND seen_at > clock_timestamp() - make_interval(secs => %s) LIMIT 1",
            (role, socket.gethostname(), FRESH_WITHIN),
        ).fetchone()
    return found is not None


if __name__ == "__main__":
    sys.exit(main())
