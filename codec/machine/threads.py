"""A pool of threads that share the work on many positions of an array."""

from __future__ import annotations

import functools
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

ALIGNED = 96
"""Parts of the work begin at multiples of this many positions: CHUNK of kernels/layers.h, so that no chunk is cut."""

LEAST = 96
"""Fewest positions for which another thread is used."""

MOST = 256
"""Largest number of threads in the pool."""

PARTS = 4
"""Parts of the work for each thread: several, since cores differ in speed and in what else they have to do."""


_told: int | None = None
"""The number of threads that was set, or None as long as `thread_count` has not read the environment."""


def set_threads(count: int) -> None:
    """Sets how many threads this process uses from now on."""
    global _told
    _told = count


def thread_count() -> int:
    """The number of threads that may be used: that given to `set_threads`; otherwise that in OMP_NUM_THREADS when this
    is called first, which torch and numpy follow, too; otherwise one for each core."""
    if _told is None:
        told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # further numbers are for nested regions
        set_threads(int(told) if told.isdecimal() and int(told) else cores())
    return _told or 1


def cores() -> int:
    """The number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """The pool of this process. It starts threads only as they are needed."""
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
    """Calls work(begin, end) for parts of the positions 0..positions, in this thread and others; each takes the next
    part when it has done one.

    work: returns 0, or another number for a lack of memory. It must release the lock of the interpreter, and keep alive
    the memory that it reads and writes: if this is interrupted, other threads go on to the end of their part. least:
    fewest positions for which another thread is used. Raises MemoryError if a call returned another number than 0.
    """
    threads = max(1, min(thread_count(), positions // least))
    size = max(least, -(-positions // (PARTS * threads))) if threads > 1 else positions
    size = -(-size // ALIGNED) * ALIGNED if size > ALIGNED else size
    begins = deque(range(0, positions, size))

    def loop() -> bool:
        """Works until no part is left. Whether memory was lacking."""
        lacking = False
        while True:
            try:
                begin = begins.popleft()
            except IndexError:
                return lacking
            lacking |= bool(work(begin, min(begin + size, positions)))

    others = _submit(loop, threads - 1)
    lacking = loop()
    # A thread that has not begun is cancelled: no part is left for it.
    if any([lacking, *(other.result() for other in others if not other.cancel())]):
        raise MemoryError


def _submit(loop: Callable[[], bool], count: int) -> list[Future[bool]]:
    """Starts `loop` in up to `count` other threads; in fewer, or none, while the interpreter shuts down."""
    others: list[Future[bool]] = []
    for _ in range(count):
        try:
            others.append(_pool().submit(loop))
        except RuntimeError:
            break
    return others
