"""Worker processes: how they begin, and how they end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from multiprocessing.process import BaseProcess


def begin_worker() -> None:
    """Prepares a worker process, to be called in it first. It ignores interrupts (SIGINT), which its parent handles,
    and exits when the parent ends, even if that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Waits for the parent process to end, then ends this one with status 1."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def end_workers(others: Sequence[BaseProcess]) -> None:
    """Terminates all child processes but `others`, so that nobody waits for the work that they have begun."""
    for process in set(multiprocessing.active_children()) - set(others):
        process.terminate()
