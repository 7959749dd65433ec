"""How far a command has come, on a terminal: one line that goes away at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A function to be called with the number of tiles done and of all. It writes to stderr where that is a terminal
    and there is more than one tile."""
    shown = False

    def report(done: int, total: int) -> None:
        nonlocal shown
        if total > 1:
            shown = True
            click.echo(f"\r{done} of {total} tiles ({100 * done // total} %)", nl=False, err=True)

    try:
        yield report if sys.stderr.isatty() and not quiet else lambda done, total: None
    finally:
        if shown:
            click.echo("\r\033[K", nl=False, err=True)
