"""One event, one line."""

from __future__ import annotations

import logging

from config.logs import LONGEST, OneLine, one_line


def test_a_value_cannot_forge_a_second_line_or_drive_a_terminal() -> None:
    text = one_line("a\r\nFAKE \x1b[2J \u2028 \u202e end")
    assert text == "a\\u000d\\u000aFAKE \\u001b[2J \\u2028 \\u202e end"


def test_a_long_value_is_cut() -> None:
    assert len(one_line("x" * 1_000_000)) < LONGEST + 50


def test_a_traceback_stays_on_the_line_of_its_event() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        record = logging.LogRecord("a.b", logging.ERROR, "", 0, "it %s", ("broke",), (type(error), error, None))
    line = OneLine().format(record)
    assert "ERROR a.b: it broke | ValueError: two" in line
    assert len(line.splitlines()) == 1


def test_an_alarm_says_what_it_is_about() -> None:
    record = logging.LogRecord("executions.services.sweeping", logging.ERROR, "", 0, "alarm.orphan", (), None)
    record.execution = "0190a1b2"
    assert OneLine().format(record).endswith("alarm.orphan execution=0190a1b2")
