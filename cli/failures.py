"""Errors as one line on stderr and an exit code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..bitstream.errors import (
    BitstreamError,
    CaeError,
    ImageError,
    ImageSizeError,
    LimitError,
    MemoryLimitError,
    TargetError,
    WeightsError,
)

UNEXPECTED = 1
USAGE = 2  # click's own code for a wrong command line
BAD_IMAGE = 3
BAD_CAE_FILE = 4
NO_WEIGHTS = 5
NO_OUTPUT = 6
TOO_LARGE = 7
DAMAGED = 8
OUT_OF_REACH = 9
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
TERMINATED = 143  # 128 + SIGTERM

_CODES: dict[type[CaeError], int] = {
    **dict.fromkeys((ImageSizeError, LimitError, MemoryLimitError), TOO_LARGE),
    **{TargetError: OUT_OF_REACH, ImageError: BAD_IMAGE, BitstreamError: BAD_CAE_FILE},
    **{WeightsError: NO_WEIGHTS, CaeError: USAGE},
}
"""Exit codes by class of error; the first class that fits holds."""

EXPLANATION = (
    "Exit codes: 0 done, 2 wrong usage, 3 the input image cannot be read, 4 the .cae file is bad, "
    "5 the weights are missing or others, 6 the output cannot be written, 7 more than --max-pixels, the format or the "
    "memory allows, 8 decoded with --allow-damaged and parts are lost, 9 no quality gives the wanted size or PSNR, "
    "130 interrupted, 143 terminated, 1 anything else, such as some of many files."
)


class Terminated(KeyboardInterrupt):
    """SIGTERM has come. Like Ctrl-C it ends a command by way of what cleans up."""


class Failure(Exception):
    """The end of a command that failed: a line for the user, without the leading "cae:", and an exit code."""

    def __init__(self, line: str, code: int) -> None:
        super().__init__(line)
        self.code = code


@contextmanager
def about(place: object, code: int | None = None) -> Iterator[None]:
    """Turns a CaeError or OSError that is raised inside into a Failure that names `place`, a file, path or URL. code:
    its exit code, unless the error is TOO_LARGE; by default that of the error's kind."""
    try:
        yield
    except BrokenPipeError:
        raise  # nobody listens any more
    except (CaeError, OSError) as exc:
        own = exit_code(exc)
        raise Failure(f"{place}: {_cause(exc)}", own if own == TOO_LARGE else code or own) from exc


def one_line(text: str) -> str:
    """The same on one line: a name of a file may hold line ends, and what moves a terminal's cursor."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda match: repr(match[0])[1:-1], text)


def say(text: str) -> None:
    """A line on standard error, if there is one."""
    click.echo(f"cae: {one_line(text)}", err=True)


def failure(exc: BaseException) -> Failure:
    """The Failure for any error, without the name of a file unless the error has one."""
    if isinstance(exc, Failure):
        return exc
    if isinstance(exc, Terminated):
        return Failure("terminated", TERMINATED)
    if isinstance(exc, KeyboardInterrupt):
        return Failure("interrupted", INTERRUPTED)
    if isinstance(exc, MemoryError):
        return Failure("out of memory", TOO_LARGE)
    if not isinstance(exc, CaeError | OSError):
        return Failure(f"unexpected {type(exc).__name__}: {_cause(exc)}", UNEXPECTED)
    where = f"{exc.filename}: " if isinstance(exc, OSError) and exc.filename else ""
    return Failure(where + _cause(exc), exit_code(exc))


def exit_code(exc: BaseException) -> int:
    """The exit code for an error's class."""
    return next((code for kind, code in _CODES.items() if isinstance(exc, kind)), UNEXPECTED)


def _cause(exc: BaseException) -> str:
    text = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return " ".join(text.split()) or type(exc).__name__
