"""`make faults`: carries the scenarios out one after the other, keeps their results, and writes docs/reliability.md.

A scenario that was proven for this very code and this number of executions is not repeated: the long profile may be
stopped and goes on where it was. Results are lines of JSON in ``faults/results.jsonl`` of SALLYPORT_HOME (``var/``).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from config.home import ROOT, home
from tests.faults import page
from tests.faults.one import empty
from tests.faults.scenarios import NOT_BUILT, SCENARIOS

#: what the figures depend on
CODE = (
    *("accounts", "api", "config", "connectors", "core", "executions", "incidents", "manual", "playbooks"),
    "tests/faults",
)
PINS = ("requirements.txt",)
#: seconds that one scenario may take, for each execution of its load, and at least
LONGEST_AN_EXECUTION, LONGEST_AT_LEAST = 6.0, 1800.0


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    only = [name.strip().upper() for name in given.only.replace(" ", ",").split(",") if name.strip()]
    unknown = sorted(set(only) - set(SCENARIOS) - set(NOT_BUILT))
    if unknown:
        print(f"There is no scenario {', '.join(unknown)}. There are: {', '.join(sorted(SCENARIOS))}.", file=sys.stderr)
        return 2
    store = Store(home() / "faults", runs=given.runs, lease=given.lease)
    wanted = [name for name in sorted(SCENARIOS) if not only or name in only]
    try:
        for position, name in enumerate(wanted, start=1):
            _carry_out(name, store, given, f"{position} of {len(wanted)}")
    except KeyboardInterrupt:
        print("\nStopped. What was proven is kept: the same command goes on from here.", file=sys.stderr)
        return 130
    finally:
        results = store.latest()
        page.write_page(results, command=f"make faults RUNS={given.runs}")
        if given.json:
            Path(given.json).write_text(json.dumps({result["id"]: result for result in results}, indent=2) + "\n")
    print(f"\n{page.table(results)}\n\nWritten to {page.PAGE.relative_to(ROOT)}; evidence is in {store.directory}.")
    return 1 if any(result["verdict"] == "red" for result in results if result["id"] in wanted) else 0


def _parser() -> argparse.ArgumentParser:
    told = os.environ.get
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--only", default=told("ONLY", ""), help="ONLY=F01,F05: these scenarios (all)")
    parser.add_argument(
        "--runs", type=_positive, default=told("RUNS") or "1000", help="RUNS=100: executions each (1000)"
    )
    parser.add_argument("--json", default=told("JSON", ""), help="JSON=FILE: results by scenario, to a file too")
    parser.add_argument(
        "--fresh", action="store_true", default=told("FRESH", "") not in ("", "0"), help="FRESH=1: all anew"
    )
    parser.add_argument("--lease", type=float, default=float(told("LEASE") or 5), help="LEASE=30: seconds (5)")
    parser.add_argument("--seed", type=int, default=int(told("SEED") or 1), help="SEED=7: of load and faults (1)")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one execution is needed")
    return number


def _carry_out(name: str, store: Store, given: argparse.Namespace, position: str) -> None:
    scenario = SCENARIOS[name]
    kept = store.kept(name)
    if kept is not None and kept["proven"] and not given.fresh:
        print(f"{name} {scenario.title}: proven before for this code (FRESH=1 repeats it)", file=sys.stderr)
        return
    print(f"\n{name} {scenario.title} ({position}): {scenario.how}", file=sys.stderr, flush=True)
    began = time.monotonic()
    keep = store.directory / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    result = carry_out(name, runs=given.runs, seed=given.seed, lease=given.lease, keep=keep)
    store.add(result)
    print(f"{name}: {page.told(result)} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    for violation in result["violations"][:20]:
        print(f"    {violation}", file=sys.stderr)


def carry_out(name: str, *, runs: int, seed: int, lease: float, keep: Path, more: Sequence[str] = ()) -> dict[str, Any]:
    """Carry one scenario out in a process of its own and return its result; on Ctrl-C all that it started is ended.

    ``more``: words for that process (``one.py``).
    """
    environ = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "REDIS_URL")}
    command = [sys.executable, "-m", "tests.faults.one", name, "--runs", str(runs), "--seed", str(seed),
               "--lease", str(lease), "--keep", str(keep), *more]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, env=environ, start_new_session=True)
    try:
        process.wait(max(LONGEST_AT_LEAST, runs * LONGEST_AN_EXECUTION))
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            _wait(process)
    file = keep / "result.json"
    if process.returncode == 0 and file.exists():
        result: dict[str, Any] = json.loads(file.read_text())
        return result
    return empty(name, SCENARIOS[name].title, "red", f"its process ended with {process.returncode}", runs)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()  # its watchdog ends what it started
        process.wait()


class Store:
    """Results, each with the code that it was measured on."""

    def __init__(self, directory: Path, *, runs: int, lease: float) -> None:
        self.directory, self.runs, self.lease = directory, runs, lease
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / "results.jsonl"
        self.code, self.commit = digest_of_code(), commit()

    def add(self, result: Mapping[str, Any]) -> None:
        line = {**result, "code": self.code, "commit": self.commit}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def kept(self, name: str) -> dict[str, Any] | None:
        """Return the last result of a scenario for this code, load and lease."""
        found = [line for line in self._lines() if line["id"] == name and line["code"] == self.code
                 and line["runs"] == self.runs and line.get("lease_s", self.lease) == self.lease]  # fmt: skip
        return found[-1] if found else None

    def latest(self) -> list[dict[str, Any]]:
        """Return one result for every scenario there is, also for those that were never carried out."""
        results = [
            self.kept(name) or empty(name, scenario.title, "not proven", "not carried out for this code", self.runs)
            for name, scenario in SCENARIOS.items()
        ]
        results += [empty(name, title, "not proven", why) for name, (title, why) in NOT_BUILT.items()]
        return sorted(results, key=lambda result: str(result["id"]))

    def _lines(self) -> list[dict[str, Any]]:
        if not self._file.exists():
            return []
        return [json.loads(line) for line in self._file.read_text(encoding="utf-8").splitlines() if line.strip()]


def digest_of_code() -> str:
    """Return a digest of everything that the figures depend on: engine, suite and pins."""
    digest = hashlib.sha256()
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")] + [ROOT / name for name in PINS]
    for path in sorted(files):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def commit() -> str:
    """Return the commit that is checked out, and whether files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    name = git("rev-parse", "--short=12", "HEAD") or "unknown"
    # The page itself is written by this command.
    changed = [line for line in git("status", "--porcelain").splitlines() if not line.endswith("docs/reliability.md")]
    return f"{name} with local changes" if changed else name


if __name__ == "__main__":
    sys.exit(main())
