"""Work on many positions, shared by threads."""

from __future__ import annotations

import functools
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

ALIGNED = 96
"""Parts begin at multiples of so many positions, as the kernels take them."""

LEAST = 96
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
        told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # the others are for regions within
        set_threads(int(told) if told.isdecimal() and int(told) else cores())
    return _told or 1


def cores() -> int:
    """Those that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Has no more threads than there are parts of work at once."""
    return ThreadPoolExecutor(MOST, "cae")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork


def lock_across_forks() -> AbstractContextManager[bool]:
    """A lock for the life of the process that a fork waits for: the child finds it free, and what it guards whole. It
    is to be held for moments only."""
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


def in_threads(work: Callable[[int, int], int], positions: int, least: int = LEAST) -> None:
    """Calls work(begin, end) for parts of all positions, in this thread and others, each of which takes the next part
    when it is done with one.

    work: must release the lock of the interpreter, and own the memory that it reads and writes: if this is interrupted,
    other threads go on until their part is done. least: positions that are worth a thread. Raises MemoryError if any
    call gives anything but 0.
    """
    threads = max(1, min(thread_count(), positions // least))
    size = max(least, -(-positions // (PARTS * threads))) if threads > 1 else positions
    size = -(-size // ALIGNED) * ALIGNED if size > ALIGNED else size
    begins = deque(range(0, positions, size))

    def loop() -> bool:
        lacking = False
        while True:
            try:
                begin = begins.popleft()
            except IndexError:
                return lacking
            lacking |= bool(work(begin, min(begin + size, positions)))

    others = _submit(loop, threads - 1)
    lacking = loop()
    # Those that have not begun have nothing to do any more.
    if any([lacking, *(other.result() for other in others if not other.cancel())]):
        raise MemoryError


def _submit(loop: Callable[[], bool], count: int) -> list[Future[bool]]:
    """As many threads as there are to be had, which are none when the interpreter ends."""
    others: list[Future[bool]] = []
    for _ in range(count):
        try:
            others.append(_pool().submit(loop))
        except RuntimeError:
            break
    return others
