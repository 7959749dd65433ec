"""Signals that stop a run without losing what it has done."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class StopSignals:
    """Collects SIGINT and SIGTERM in `received` instead of ending the process, as a context manager."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        def note(number: int, _: FrameType | None) -> None:
            self.received.append(number)

        self._before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
