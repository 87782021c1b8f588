"""One scenario in a process of its own, since Django is set up once a process: ``python -m tests.faults.one F01``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.faults.frame import CannotProve, Scenario, run_scenario
from tests.faults.scenarios import SCENARIOS

#: of a worker with --pool=prefork
PROCESSES = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.faults.one", description=__doc__)
    parser.add_argument("scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--lease", type=float, default=5.0)
    parser.add_argument("--pool", default="threads", choices=("threads", "prefork"), help="of the workers")
    parser.add_argument("--slice", type=float, default=1.0, help="seconds; 0: no carrying on")
    parser.add_argument("--keep", type=Path, required=True, help="directory for the ledger's file, logs and result")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that was started is ended
    scenario = SCENARIOS[given.scenario]
    given.keep.mkdir(parents=True, exist_ok=True)
    try:
        result = run_scenario(
            _as_told(scenario, given), runs=given.runs, seed=given.seed, lease=given.lease, say=_say, keep=given.keep
        )  # fmt: skip
    except CannotProve as error:
        result = empty(scenario.id, scenario.title, "not proven", str(error), given.runs)
    except Exception as error:
        traceback.print_exc()
        result = empty(
            scenario.id, scenario.title, "red", f"it broke off: {type(error).__name__}: {error}"[:500], given.runs
        )
    (given.keep / "result.json").write_text(json.dumps(result, indent=2))
    return 0


def _as_told(scenario: Scenario, given: argparse.Namespace) -> Scenario:
    environ = {**scenario.shape.environ, "SALLYPORT_SLICE": str(given.slice)}
    shape = replace(scenario.shape, environ=environ, pool=given.pool)
    if given.pool == "prefork":
        shape = replace(shape, threads=PROCESSES)
    return replace(scenario, shape=shape)


def empty(id_: str, title: str, verdict: str, reason: str, runs: int = 0) -> dict[str, Any]:
    """A result without figures."""
    return {"id": id_, "title": title, "verdict": verdict, "proven": False, "reason": reason, "runs": runs,
            "violations": [], "faults": 0}  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
