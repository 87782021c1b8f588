"""Procrastinate: jobs in PostgreSQL, each of which defers the next one; two workers of four."""

import os
import subprocess
import sys
from uuid import uuid4

import procrastinate
import redis
from talking import answer

CONNINFO = f"host={os.environ['PEER_SOCKETS']} user={os.environ['PEER_USER']} dbname={os.environ['PEER_DATABASE']}"
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=CONNINFO, min_size=2, max_size=10))
done = redis.Redis.from_url(os.environ["PEER_REDIS"], socket_timeout=150)


@app.task(name="step", queue="bench")
async def step(left: int, run: str) -> None:
    if left:
        await step.defer_async(left=left - 1, run=run)
    else:
        done.rpush(run, "1")


@app.task(name="branch", queue="bench")
async def branch(run: str, branches: int) -> None:
    if done.incr(f"{run}:count") == branches:
        done.rpush(run, "1")


def wait(run: str) -> None:
    if done.blpop([run], timeout=120) is None:
        raise TimeoutError(run)


def sequences(count: int, steps: int) -> None:
    runs = [f"peer-{uuid4().hex}" for _ in range(count)]
    for run in runs:
        step.defer(left=steps - 1, run=run)
    for run in runs:
        wait(run)


def parallel(branches: int) -> None:
    run = f"peer-{uuid4().hex}"
    branch.batch_defer(*[{"run": run, "branches": branches} for _ in range(branches)])
    wait(run)


if __name__ == "__main__":
    import procrastinate_app as own  # the tasks under the name that the workers know

    own.app.open()
    own.app.schema_manager.apply_schema()
    command = [
        sys.executable,
        "-m",
        "procrastinate",
        "--app",
        "procrastinate_app.app",
        "worker",
        "-c",
        "4",
        "-q",
        "bench",
    ]
    workers = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr) for _ in range(2)]
    answer(own.sequences, own.parallel)
    for worker in workers:
        worker.terminate()
