"""Prefect: its server on PostgreSQL; flows are called in two client processes, its cheapest way."""

import os
import subprocess
import sys
import time
import urllib.request

PORT = os.environ["PEER_PORT"]
API = f"http://127.0.0.1:{PORT}/api"
os.environ.update(
    PREFECT_HOME=os.environ["PEER_HOME"],
    PREFECT_API_URL=API,
    PREFECT_LOGGING_LEVEL="ERROR",
    PREFECT_SERVER_LOGGING_LEVEL="ERROR",
    PREFECT_LOGGING_TO_API_ENABLED="false",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY="false",
    PREFECT_SERVER_UI_ENABLED="false",
    DO_NOT_TRACK="1",
    PREFECT_API_DATABASE_CONNECTION_URL=f"postgresql+asyncpg://{os.environ['PEER_USER']}@/{os.environ['PEER_DATABASE']}"
    f"?host={os.environ['PEER_SOCKETS']}",
)


def start_server() -> subprocess.Popen:
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", PORT]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{API}/health", timeout=2):
                return server
        except OSError:
            time.sleep(0.5)  # it is starting; there is no other sign of it
    raise TimeoutError("the server does not answer after two minutes")


def flows():
    from prefect import flow, task
    from prefect.task_runners import ThreadPoolTaskRunner

    @task(persist_result=True, cache_policy=None)
    def step(number: int) -> int:
        return number

    @flow(persist_result=False)
    def sequence(steps: int) -> None:
        for number in range(steps):
            step(number)

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=20))
    def fork(branches: int) -> int:
        return len([future.result() for future in step.map(list(range(branches)))])

    return sequence, fork


def work() -> None:
    sequence, fork = flows()
    sequence(2)
    from talking import answer

    def sequences(count: int, steps: int) -> None:
        for _ in range(count):
            sequence(steps)

    answer(sequences, fork)


class Client:
    def __init__(self) -> None:
        command = [sys.executable, __file__, "client"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self) -> None:
        if not self.process.stdout.readline():
            raise RuntimeError("a client process ended")

    def say(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()


def main() -> None:
    from talking import answer

    server = start_server()
    clients = [Client(), Client()]
    for client in clients:
        client.hear()

    def tell(*lines: str) -> None:
        told = list(zip(clients, lines, strict=False))
        for client, line in told:
            client.say(line)
        for client, _ in told:
            client.hear()

    def sequences(count: int, steps: int) -> None:
        if count == 1:
            tell(f"sequences 1 {steps}")
        else:
            tell(f"sequences {count - count // 2} {steps}", f"sequences {count // 2} {steps}")

    answer(sequences, lambda branches: tell(f"parallel {branches}"))
    for client in clients:
        client.process.stdin.close()
    server.terminate()


if __name__ == "__main__":
    work() if sys.argv[1:] == ["client"] else main()
