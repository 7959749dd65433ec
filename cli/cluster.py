"""Encoding and decoding of many files by actors of a Ray cluster; docs/archive.md says what is promised."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

# Ray reads this when it is imported. It keeps its messages about dead workers off standard output, which is ours.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError

from .failures import UNEXPECTED, Failure
from .processes import use_threads
from .remote import Place
from .work import Job, Outcome, Work, attempt

ATTEMPTS = 3
"""How many times a file is begun at most, where its worker dies."""

PATIENCE = 60
"""Seconds without any worker after which a line says that the cluster has no room."""

OBJECT_STORE = 80 * 2**20
"""Bytes of shared memory of a cluster of our own: nearly the least that Ray allows, as no pixels go through it."""


def outcomes(
    jobs: Sequence[Job], work: Work, actors: int | None = None, threads: int | None = None, gpu: bool = False
) -> Generator[Outcome, None, None]:
    """Does all jobs on the cluster at RAY_ADDRESS, or on one of this machine's that is started for them. The outcomes
    come as the jobs end.

    actors: how many; by default as many as there are CPUs for, or with `gpu` as many as there are GPUs. threads: CPUs
    of each, 1 by default. gpu: whether each has a GPU to itself. Raises Failure where no worker can be started."""
    threads = threads or 1
    with _connected(actors * threads if actors else None):
        if not actors:
            resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
            actors = int(resources.get("GPU", 0) if gpu else resources.get("CPU", 0) // threads)
        actor = ray.remote(_Worker).options(
            num_cpus=threads, num_gpus=int(gpu), max_restarts=-1, max_task_retries=ATTEMPTS - 1
        )
        yield from _share(jobs, max(1, min(actors, len(jobs))), lambda: actor.remote(work, threads, gpu))


class _Worker:
    """A process that does one job after the other, with one copy of the model."""

    def __init__(self, work: Work, threads: int, gpu: bool) -> None:
        if not gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # so that it takes no GPU that Ray has not given it
        use_threads(threads)
        self._work = work

    def start(self) -> str:
        """The version of this package where the worker runs; an answer shows that it could be started."""
        return version("cae-codec")

    def do(self, job: Job) -> Outcome:
        """The outcome of a job. Raises nothing."""
        return attempt(self._work, job)


def _share(jobs: Sequence[Job], workers: int, new: Callable[[], Any]) -> Iterator[Outcome]:
    """Gives each of so many workers that has started one job after the other, until all are done."""
    todo = iter([replace(job, source=_absolute(job.source), output=_absolute(job.output)) for job in jobs])
    left = len(jobs)
    # What runs on each worker: its start, or a job. A worker gets no job before it has started, as the cluster may have
    # no room for it yet. A worker without a job is let go: its room is for those that wait for theirs.
    running: dict[Any, tuple[Any, Job | None]] = {}

    def start() -> None:
        worker = new()
        running[worker.start.remote()] = (worker, None)

    for _ in range(workers):
        start()
    reason = ""
    patience: float | None = PATIENCE
    while left:
        if not running:
            raise Failure(f"no worker could be started: {reason}", UNEXPECTED)
        ready, _ = ray.wait(list(running), timeout=patience)
        if not ready:
            click.echo("cae: waiting for the cluster to have room for a worker", err=True)
        patience = None
        for done in ready:
            worker, job = running.pop(done)
            try:
                result = ray.get(done)
            except RayError as error:
                reason = str(error).strip().splitlines()[-1]
                if job is None:
                    continue
                if isinstance(error, ActorDiedError):  # Ray could not start it again
                    start()
                    worker = None
                ended = f"its worker died {ATTEMPTS} times" if isinstance(error, ActorUnavailableError) else reason
                result = Outcome(job, error=f"{job.source}: {ended}", code=UNEXPECTED)
            if job is None and result != version("cae-codec"):
                reason = f"it has version {result} of cae-codec, and this is {version('cae-codec')}"
                continue
            following = next(todo, None) if worker else None
            if following is not None:
                running[worker.do.remote(following)] = (worker, following)
            del worker
            if job is not None:
                left -= 1
                yield result


def _absolute(place: Place) -> Place:
    """The same place for a process with another working directory."""
    return place.absolute() if isinstance(place, Path) else place


@contextmanager
def _connected(cpus: int | None) -> Iterator[None]:
    """Connects to the cluster at RAY_ADDRESS, or starts one on this machine with so many CPUs (None: all), for as long
    as the context lasts; a connection that this process has already is used and kept. Raises Failure."""
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS") or "local"
    own: dict[str, Any] = {}
    if address == "local":
        own = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": OBJECT_STORE}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports statistics unless told not to
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except (OSError, RuntimeError, ValueError) as error:
            raise Failure(f"Ray at {address}: {str(error).strip().splitlines()[-1]}", UNEXPECTED) from error
        signal.signal(signal.SIGTERM, terminate)  # in place of the handler that Ray has set
        yield
    finally:
        ray.shutdown()
