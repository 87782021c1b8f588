"""DBOS: workflows started in one process, steps checkpointed in PostgreSQL."""

import asyncio
import os

from dbos import DBOS
from talking import answer

config = {
    "name": "bench",
    "system_database_url": f"postgresql+psycopg://{os.environ['PEER_USER']}@/{os.environ['PEER_DATABASE']}"
    f"?host={os.environ['PEER_SOCKETS']}",
    "log_level": "ERROR",
    "application_version": "1",
    "run_admin_server": False,
    "sys_db_pool_size": 20,
}


@DBOS.step()
def step() -> None:
    return None


@DBOS.step()
async def branch() -> None:
    return None


@DBOS.workflow()
def sequence(steps: int) -> None:
    for _ in range(steps):
        step()


@DBOS.workflow()
async def fork(branches: int) -> None:
    await asyncio.gather(*[branch() for _ in range(branches)])


def sequences(count: int, steps: int) -> None:
    started = [DBOS.start_workflow(sequence, steps) for _ in range(count)]
    for handle in started:
        handle.get_result(polling_interval_sec=0.005)


if __name__ == "__main__":
    DBOS(config=config)
    DBOS.launch()
    answer(sequences, lambda branches: asyncio.run(fork(branches)))
    os._exit(0)  # its threads would keep the process
