"""`manage.py conformance DIR`: plays a folder of playbooks and expectations through a stack of its own."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from config.own_stack import own_stack
from config.supervisor import CannotStart

if TYPE_CHECKING:
    from executions.conformance.verdicts import Verdict

DESCRIPTION = """Import every playbook below DIR (strict, then lenient), round-trip it, and play every trace file
there through workers with the fake connector. Uses servers of its own and touches no other data.
Exit code: 0 if nothing failed, 1 if something did, 2 if DIR cannot be read."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="manage.py conformance", description=DESCRIPTION)
    parser.add_argument("directory", metavar="DIR", type=Path, help="Its form: docs/conformance.md.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object instead of lines.")
    options = parser.parse_args(arguments)
    try:
        with own_stack(say=_say, workers=os.cpu_count() or 1):
            from executions.conformance.files import FolderInvalid
            from executions.conformance.running import run

            try:
                verdicts = run(options.directory, say=_say)
            except FolderInvalid as error:
                print(error.message, file=sys.stderr)
                return 2
    except CannotStart as error:
        print(f"The servers cannot start: {error}", file=sys.stderr)
        return 2
    _print_json(verdicts) if options.json else _print(verdicts)
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _counts(verdicts: Sequence[Verdict]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        counts.setdefault(verdict.kind, Counter())["passed" if verdict.passed else "failed"] += 1
    return {kind: {"passed": found["passed"], "failed": found["failed"]} for kind, found in counts.items()}


def _print(verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        for problem in verdict.problems:
            print(f"FAILED {verdict.kind} {verdict.subject}\n       {problem}")
    for kind, found in _counts(verdicts).items():
        print(f"{kind:10} {found['passed']:4} passed {found['failed']:4} failed")
    failed = sum(not verdict.passed for verdict in verdicts)
    print(f"{len(verdicts) - failed} passed, {failed} failed")


def _print_json(verdicts: Sequence[Verdict]) -> None:
    failed = [verdict for verdict in verdicts if not verdict.passed]
    result = {
        "passed": len(verdicts) - len(failed),
        "failed": len(failed),
        "kinds": _counts(verdicts),
        "failures": [{"kind": v.kind, "subject": v.subject, "problems": v.problems} for v in failed],
    }
    print(json.dumps(result, indent=2, ensure_ascii=False))
