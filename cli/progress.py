"""Progress of a command on a terminal: one line on stderr that goes away at the end."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Gives a function to be called with the number of tiles done and of all. It writes if there are several tiles,
    stderr is a terminal, and not `quiet`."""
    shown = False

    def report(done: int, total: int) -> None:
        nonlocal shown
        if total > 1:
            shown = True
            click.echo(f"\r{done} of {total} tiles ({100 * done // total} %)", nl=False, err=True)

    try:
        yield report if _is_terminal() and not quiet else lambda done, total: None
    finally:
        if shown:
            _clear()


class FilesBar:
    """A bar for how many of several files are done, if stderr is a terminal and not `quiet`."""

    def __init__(self, total: int, quiet: bool) -> None:
        self._total = total
        self._active = _is_terminal() and not quiet
        self._begin = time.perf_counter()

    def show(self, done: int, read: int) -> None:
        """Draws the bar. done: files; read: bytes of them."""
        if not self._active:
            return
        share = done / self._total
        seconds = time.perf_counter() - self._begin
        bar = "#" * round(20 * share)
        left = clock(seconds / share - seconds)
        line = f"[{bar:.<20}] {done}/{self._total} files  {read / 1e6 / seconds:.1f} MB/s  {left} left"
        click.echo(line[: shutil.get_terminal_size().columns - 1], nl=False, err=True)

    def clear(self) -> None:
        """Removes the bar."""
        if self._active:
            _clear()


def _is_terminal() -> bool:
    """Whether standard error is one; it may be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def clock(seconds: float) -> str:
    """Seconds as hours, minutes and seconds, "01:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def _clear() -> None:
    click.echo("\r\033[K", nl=False, err=True)
