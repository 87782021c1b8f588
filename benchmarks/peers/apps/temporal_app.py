"""Temporal: its development server on an SQLite file, two worker processes. First argument: activity or local."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

ADDRESS = f"127.0.0.1:{os.environ['PEER_PORT']}"
QUEUE = "bench"
PATIENCE = timedelta(seconds=60)


@activity.defn
async def step() -> None:
    return None


def _run(is_local: bool):
    acts = workflow.execute_local_activity if is_local else workflow.execute_activity
    return acts(step, start_to_close_timeout=PATIENCE)


@workflow.defn
class Sequence:
    @workflow.run
    async def run(self, steps: int, is_local: bool) -> None:
        for _ in range(steps):
            await _run(is_local)


@workflow.defn
class Fork:
    @workflow.run
    async def run(self, branches: int, is_local: bool) -> None:
        await asyncio.gather(*[_run(is_local) for _ in range(branches)])


async def work() -> None:
    client = await Client.connect(ADDRESS)
    worker = Worker(client, task_queue=QUEUE, workflows=[Sequence, Fork], activities=[step], max_cached_workflows=500)
    await worker.run()


async def connect() -> Client:
    for _ in range(120):
        try:
            client = await Client.connect(ADDRESS)
            await client.count_workflows()
            return client
        except Exception:
            await asyncio.sleep(0.5)  # it is starting; there is no other sign of it
    raise TimeoutError("the development server does not answer after a minute")


def main(is_local: bool) -> None:
    from talking import answer

    server = [str(Path(sys.executable).parent / "temporal"), "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
    server += ["--port", os.environ["PEER_PORT"], "--log-level", "error"]
    server += ["--db-filename", os.path.join(os.environ["PEER_HOME"], "temporal.db")]
    children = [subprocess.Popen(server, stdin=subprocess.DEVNULL, stdout=sys.stderr)]
    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(connect())
    for _ in range(2):
        command = [sys.executable, __file__, "worker"]
        children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr))

    async def run(kind, counts) -> None:
        await asyncio.gather(
            *[client.execute_workflow(kind, args=[n, is_local], id=uuid4().hex, task_queue=QUEUE) for n in counts]
        )

    answer(
        lambda count, steps: loop.run_until_complete(run(Sequence.run, [steps] * count)),
        lambda branches: loop.run_until_complete(run(Fork.run, [branches])),
    )
    for child in reversed(children):
        child.terminate()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        asyncio.run(work())
    else:
        main(sys.argv[1] == "local")
