"""Work on many positions, shared by threads."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

ALIGNED = 12
"""Parts begin at multiples of so many positions, as the kernels take them."""

LEAST = 384
"""Positions that are worth a thread."""


@functools.cache
def thread_count() -> int:
    """How many threads may be used: what OMP_NUM_THREADS says when this is called first, as for torch and numpy, or one
    for each core."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdecimal() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_count() - 1, "cae")


def in_threads(work: Callable[[int, int], int], positions: int, least: int = LEAST) -> None:
    """Calls work(begin, end) for parts of all positions, of which this thread does one. It must release the lock of
    the interpreter. least: positions that are worth a thread. Raises MemoryError if it gives anything but 0."""
    threads = max(1, min(thread_count(), positions // least))
    size = -(-positions // threads)
    if size > ALIGNED:
        size = -(-size // ALIGNED) * ALIGNED
    parts = [(begin, min(begin + size, positions)) for begin in range(0, positions, size)]
    others = [_pool().submit(work, *part) for part in parts[1:]]
    # All of them end before anything is raised: they write where the caller has memory.
    if any([work(*parts[0]), *(other.result() for other in others)]):
        raise MemoryError
