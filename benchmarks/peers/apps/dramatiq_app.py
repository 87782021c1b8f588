"""Dramatiq on Redis, nothing durable behind it: two processes of four threads, pipelines."""

import os
import subprocess
import sys
from uuid import uuid4

import dramatiq
import redis
from dramatiq import pipeline
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AgeLimit, Callbacks, Pipelines, Retries, ShutdownNotifications, TimeLimit
from talking import answer

MIDDLEWARE = [AgeLimit(), TimeLimit(), ShutdownNotifications(), Callbacks(), Pipelines(), Retries()]
dramatiq.set_broker(RedisBroker(url=os.environ["PEER_REDIS"], namespace="peer-dramatiq", middleware=MIDDLEWARE))
done = redis.Redis.from_url(os.environ["PEER_REDIS"], socket_timeout=150)


@dramatiq.actor(queue_name="bench")
def step(_: object = None) -> None:
    return None


@dramatiq.actor(queue_name="bench")
def finish(run: str, _: object = None) -> None:
    done.rpush(run, "1")


@dramatiq.actor(queue_name="bench")
def branch(run: str, branches: int) -> None:
    if done.incr(f"{run}:count") == branches:
        done.rpush(run, "1")


def wait(run: str) -> None:
    if done.blpop([run], timeout=120) is None:
        raise TimeoutError(run)


def sequences(count: int, steps: int) -> None:
    runs = [f"peer-{uuid4().hex}" for _ in range(count)]
    for run in runs:
        pipeline([*[step.message() for _ in range(steps - 1)], finish.message(run)]).run()
    for run in runs:
        wait(run)


def parallel(branches: int) -> None:
    run = f"peer-{uuid4().hex}"
    for _ in range(branches):
        branch.send(run, branches)
    wait(run)


if __name__ == "__main__":
    import dramatiq_app as own  # the actors under the name that the workers know

    command = [sys.executable, "-m", "dramatiq", "dramatiq_app", "-p", "2", "-t", "4", "-Q", "bench"]
    workers = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    answer(own.sequences, own.parallel)
    workers.terminate()
