from datetime import UTC, datetime

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
