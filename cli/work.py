"""Jobs on files, and how each is done: read, coded, together with others where they are small, written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .failures import NO_OUTPUT, about, failure
from .remote import Place


@dataclass(frozen=True)
class Job:
    """An input and its output. make_folder: whether a missing folder of the output is to be made."""

    source: Place
    output: Place
    make_folder: bool = False


@dataclass(frozen=True)
class Outcome:
    """The result of a job. line: for the user; notes: further lines, for stderr; bytes_in, bytes_out, bytes_cae: sizes
    of input, output and the .cae file, which is one of them; pixels: their number; error: why there is no output, ""
    if there is one; code: the exit code."""

    job: Job
    line: str = ""
    notes: tuple[str, ...] = ()
    bytes_in: int = 0
    bytes_out: int = 0
    bytes_cae: int = 0
    pixels: int = 0
    error: str = ""
    code: int = 0


class Input(Protocol):
    """The data that was read for a job. share: how much it fills of what goes through the networks together."""

    @property
    def share(self) -> float: ...


class Work(Protocol):
    """The steps of a job, encoding or decoding: read, coded, maybe together with others, and written."""

    def as_one_of(self, files: int) -> Work:
        """The work for a process that does so many files, which show no progress of their own beside that of all."""

    def read(self, job: Job) -> Any:
        """Reads the Input of a job. Raises Failure or other errors, as `code` and `write` do."""

    def code(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Encodes or decodes each input."""

    def write(self, job: Job, input: Any, coded: Any) -> Outcome:
        """Writes the output of an input and what `code` gave for it."""


def do(work: Work, job: Job) -> Outcome:
    """Does one job by itself. Raises Failure or other errors."""
    input = _read(work, job)
    (coded,) = work.code([input])
    return work.write(job, input, coded)


def attempt(work: Work, job: Job) -> Outcome:
    """Does one job by itself; an error becomes its outcome, a line that can cross processes. Raises nothing."""
    try:
        return do(work, job)
    except Exception as error:
        return _failed(job, error)


def attempt_all(work: Work, jobs: Iterable[Job]) -> Iterator[Outcome]:
    """Does jobs in this process, as many together as the networks have room for. Errors become outcomes."""
    waiting: list[tuple[Job, Any]] = []
    share = 0.0
    for job in jobs:
        try:
            waiting.append((job, _read(work, job)))
        except Exception as error:
            yield _failed(job, error)
            continue
        share += waiting[-1][1].share
        if share >= 1:
            yield from _finish(work, waiting)
            waiting, share = [], 0.0
    if waiting:
        yield from _finish(work, waiting)


def _read(work: Work, job: Job) -> Input:
    if job.make_folder and isinstance(job.output, Path):
        with about(job.output, NO_OUTPUT):
            job.output.parent.mkdir(parents=True, exist_ok=True)
    input: Input = work.read(job)
    return input


def _finish(work: Work, waiting: Sequence[tuple[Job, Input]]) -> Iterator[Outcome]:
    try:
        coded = work.code([input for _, input in waiting])
    except Exception as error:
        if len(waiting) == 1:
            yield _failed(waiting[0][0], error)
        else:  # it is not known which of them failed
            for pair in waiting:
                yield from _finish(work, [pair])
        return
    for (job, input), own in zip(waiting, coded, strict=True):
        try:
            yield work.write(job, input, own)
        except Exception as error:
            yield _failed(job, error)


def _failed(job: Job, error: Exception) -> Outcome:
    end = failure(error)
    return Outcome(job, error=str(end), code=end.code)
