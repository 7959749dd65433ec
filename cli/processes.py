"""Jobs on many files, in one or several processes of this machine."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from pathlib import Path
from types import FrameType

from ..codec.machine.memory import machine_memory
from ..codec.machine.threads import cores, set_threads, thread_count
from ..codec.machine.workers import begin_worker, end_workers
from .failures import TERMINATED, UNEXPECTED
from .remote import Place
from .work import Job, Outcome, Work, attempt_all

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables of the environment in which torch, numpy and the kernels look for their number of threads."""

MOST_TOGETHER, SMALL = 16, 2**20
"""How many files, of how many bytes in all, one of several processes is given at a time at most. The more, the better
networks are used where images are small, and the longer it takes until something is reported."""

TRIAL, WORTH = 1.0, 5.0
"""Seconds of work after which it is estimated how long the rest takes, and how long that must be for other processes to
be started: each takes 0.3 to be ready, and on two cores they save a fifth."""

MEMORY = 2**31
"""Bytes that a process is taken to need at most: an image of 100 megapixels takes 1.2 GB."""

_at_work = False
"""Whether this process, one of an executor's, has jobs in hand."""


def on_this_machine(jobs: Sequence[Job], work: Work, processes: int | None) -> Generator[Outcome, None, None]:
    """Does all jobs on this machine, as an Engine. Raises nothing: where one of several processes dies, its job has
    failed.

    processes: how many; by default one for each thread, as far as the memory goes, but only one as long as the work
    does not seem worth more."""
    most = default_processes() if processes is None else processes
    waiting = deque(jobs)
    left = 0.0 if processes is None else WORTH
    while most > 1 and len(waiting) > 1 and left < WORTH:
        begin = time.perf_counter()
        yield from attempt_all(work, _for_a_while(waiting))
        left = (time.perf_counter() - begin) / (len(jobs) - len(waiting)) * len(waiting)
        jobs = list(waiting)
    if most > 1 and len(waiting) > 1:
        yield from in_processes(list(waiting), work, most)
    else:
        yield from attempt_all(work, waiting)


def _for_a_while(jobs: deque[Job]) -> Iterator[Job]:
    """Takes jobs off the left one by one, for TRIAL seconds."""
    begin = time.perf_counter()
    while jobs and time.perf_counter() - begin < TRIAL:
        yield jobs.popleft()


def default_processes() -> int:
    """The number of processes where none is asked for: each has MEMORY bytes, and an equal share of the threads."""
    try:
        multiprocessing.get_context("spawn").Lock()
    except (ImportError, OSError):  # the system has no locks that processes could share work by
        return 1
    threads = thread_count()
    share = -(-threads // max(1, min(threads, machine_memory() // MEMORY)))
    return threads // share


def in_processes(jobs: Sequence[Job], work: Work, processes: int) -> Generator[Outcome, None, None]:
    """Does all jobs in so many processes; the outcomes come as parts of the jobs end."""
    processes = min(processes, len(jobs))
    waiting = _parts(jobs, processes)
    running: dict[Future[list[Outcome]], list[Job]] = {}
    others = multiprocessing.active_children()
    executor = _executor(processes, processes)
    try:
        while True:
            interrupted: list[Job] = []
            # No more than keeps all busy: when a process dies, all that the executor has is interrupted.
            for part in itertools.islice(waiting, 2 * processes - len(running)):
                try:
                    running[executor.submit(_attempt_part, work, part)] = part
                except BrokenExecutor:
                    interrupted += part
            if not running and not interrupted:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                part = running.pop(future)
                try:
                    yield from future.result()
                except BrokenExecutor:
                    interrupted += part
            if interrupted:
                executor.shutdown()
                # It is not known which job killed the process: each is done again, in a process of its own.
                for job in itertools.chain(interrupted, *running.values()):
                    yield _alone(job, work, processes)
                running.clear()
                executor = _executor(processes, processes)
    except BaseException:  # an interrupt, or the generator is closed
        end_workers(others)
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _attempt_part(work: Work, jobs: Sequence[Job]) -> list[Outcome]:
    """The outcomes of a part of the jobs; runs in a process of the executor's."""
    global _at_work
    try:
        _at_work = True
        return list(attempt_all(work, jobs))
    except SystemExit:  # raised by `_exit`; the executor would go on to the next part
        os._exit(TERMINATED)
    finally:
        _at_work = False


def _parts(jobs: Sequence[Job], processes: int) -> Iterator[list[Job]]:
    """Splits jobs into what a process is given at a time: one file, or several small ones."""
    most = min(MOST_TOGETHER, -(-len(jobs) // (4 * processes)))
    part: list[Job] = []
    size = 0
    for job in jobs:
        size += _size(job.source)
        if part and (len(part) == most or size > SMALL):
            yield part
            part, size = [], _size(job.source)
        part.append(job)
    yield part


def _size(source: Place) -> int:
    """The bytes of a file, or where they are unknown, more than SMALL."""
    try:
        return source.stat().st_size if isinstance(source, Path) else SMALL + 1
    except OSError:
        return SMALL + 1


def _alone(job: Job, work: Work, share: int) -> Outcome:
    """The outcome of a job in a process of its own, with one share of the threads."""
    others = multiprocessing.active_children()
    executor = _executor(1, share)
    try:
        (outcome,) = executor.submit(_attempt_part, work, [job]).result()
        return outcome
    except BrokenExecutor:
        return Outcome(job, error=f"{job.source}: its process died", code=UNEXPECTED)
    except BaseException:
        end_workers(others)
        raise
    finally:
        executor.shutdown()


def _executor(processes: int, share: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _start_worker, (share,))


def use_threads(count: int) -> None:
    """Sets the number of threads of torch, numpy and kernels, loaded or not, and of new processes together."""
    os.environ.update(dict.fromkeys(THREADS, str(count)))
    set_threads(count)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


def _start_worker(share: int) -> None:
    """Prepares a process that is one of `share`, which divide the threads that one process would take."""
    begin_worker()
    signal.signal(signal.SIGTERM, _exit)
    for name in THREADS:
        own = os.environ.get(name, "").split(",")[0]  # the first of a list, as `thread_count` reads it
        os.environ[name] = str(max(1, (int(own) if own.isdecimal() else cores()) // share))


def _exit(number: int, frame: FrameType | None) -> None:
    """Handles SIGTERM: ends a process at once, or if it is at work by way of what cleans up. Between two parts the
    executor would take an exception for an outcome, and wait for ever for the lock to send it, which this process may
    hold. Further signals are ignored, as the executor may send them to all when one process has ended."""
    signal.signal(number, signal.SIG_IGN)
    if not _at_work:
        os._exit(TERMINATED)
    raise SystemExit(TERMINATED)
