"""Work on many positions, shared by threads."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

ALIGNED = 96
"""Parts begin at multiples of so many positions, as the kernels take them."""

LEAST = 384
"""Positions that are worth a thread."""

MOST = 256
"""Threads of a process."""

PARTS = 4
"""For each thread. Cores differ in speed, and in what else they have to do."""


_told: int | None = None


def set_threads(count: int) -> None:
    """To be used from now on, by this process."""
    global _told
    _told = count


def thread_count() -> int:
    """How many threads may be used: what was set, what OMP_NUM_THREADS says when this is called first, as for torch and
    numpy, or one for each core."""
    if _told is None:
        told = os.environ.get("OMP_NUM_THREADS", "")
        set_threads(int(told) if told.isdecimal() and int(told) else _cores())
    return _told or 1


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Has no more threads than there are parts of work at once."""
    return ThreadPoolExecutor(MOST, "cae")


def in_threads(work: Callable[[int, int], int], positions: int, least: int = LEAST) -> None:
    """Calls work(begin, end) for parts of all positions, in this thread and others, each of which takes the next part
    when it is done with one. It must release the lock of the interpreter.

    least: positions that are worth a thread. Raises MemoryError if any call gives anything but 0.
    """
    threads = max(1, min(thread_count(), positions // least))
    size = max(least, -(-positions // (PARTS * threads))) if threads > 1 else positions
    size = -(-size // ALIGNED) * ALIGNED if size > ALIGNED else size
    begins = iter(range(0, positions, size))

    def loop() -> bool:
        # Not any(): the others' parts are not left undone.
        return sum(bool(work(begin, min(begin + size, positions))) for begin in begins) > 0

    others = [_pool().submit(loop) for _ in range(threads - 1)]
    # All of them end before anything is raised: they write where the caller has memory.
    if sum([loop(), *(other.result() for other in others)]):
        raise MemoryError
