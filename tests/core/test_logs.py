"""Log records while secrets are in use."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from core.logs import ScrubbingFilter, scrubbing
from core.secrets import MASK, Scrubber

SECRET = "canary-8f3a97c2"


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def kept() -> Iterator[_Kept]:
    handler = _Kept()
    handler.addFilter(ScrubbingFilter())
    logger = logging.getLogger("tests.scrubbing")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


LOG = logging.getLogger("tests.scrubbing")


def test_messages_arguments_and_tracebacks_are_scrubbed(kept: _Kept) -> None:
    with scrubbing(Scrubber([SECRET])):
        LOG.info(f"token {SECRET}")
        LOG.info("%s and %r", SECRET, [SECRET])
        try:
            raise ValueError("refused", SECRET)
        except ValueError:
            LOG.exception("failed with %s", {"a": SECRET})
    LOG.info("outside %s", SECRET)

    assert kept.lines[0] == f"token {MASK}"
    assert not any("canary" in line for line in kept.lines[:3])
    assert "ValueError" in kept.lines[2]
    assert kept.lines[3] == f"outside {SECRET}", "the filter works only while it is told of secrets"


def test_a_secret_at_the_cutting_edge_of_a_long_value_is_found(kept: _Kept) -> None:
    with scrubbing(Scrubber([SECRET])):
        LOG.info("%s", "x" * 2_040 + SECRET)
    assert "canary" not in kept.lines[0]


def test_a_long_value_is_cut(kept: _Kept) -> None:
    LOG.info("%s %s", "x" * 1_000_000, "y")
    assert kept.lines[0] == f"{'x' * 2048}... (1000000 characters) y"


async def test_tasks_started_inside_are_scrubbed_and_others_keep_their_own(kept: _Kept) -> None:
    async def work(secret: str) -> None:
        with scrubbing(Scrubber([secret])):
            await asyncio.sleep(0)
            await asyncio.create_task(_log(secret))

    async def _log(secret: str) -> None:
        LOG.info("task uses %s", secret)

    await asyncio.gather(work(SECRET), work("another-secret-value"))
    assert kept.lines == [f"task uses {MASK}"] * 2
