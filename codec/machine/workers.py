"""Processes that work for this one, and how they end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from multiprocessing.process import BaseProcess


def begin_worker() -> None:
    """In such a process, before it works: interrupts are left to the one it works for, with which it ends, even if that
    is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def end_workers(others: Sequence[BaseProcess]) -> None:
    """All but those: else what they are at would have to be waited for."""
    for process in set(multiprocessing.active_children()) - set(others):
        process.terminate()
