"""What is done to one file after another: read it, code it, maybe with others, write what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .failures import NO_OUTPUT, about, failure
from .remote import Place


@dataclass(frozen=True)
class Job:
    """One input and its output; make_folder: whether the output's folder is to be made where it is missing."""

    source: Place
    output: Place
    make_folder: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a job. line: for the user; notes: further lines, for stderr; bytes_cae: of the .cae file,
    whichever side it is on; error: the line that says why there is no output, and code: its exit code."""

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
    """What has been read of a job. share: how much of what the networks can take at once."""

    @property
    def share(self) -> float: ...


class Work(Protocol):
    """What is done to each file: read, coded with others that share the networks, and written."""

    def as_one_of(self, files: int) -> Work:
        """The same for as many files as a process has to do. None of them shows progress of its own, which would
        disturb that of all."""

    def read(self, job: Job) -> Any:
        """An Input. Raises Failure, as does what follows."""

    def code(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """What becomes of each input."""

    def write(self, job: Job, input: Any, coded: Any) -> Outcome:
        """Writes the output."""


def do(work: Work, job: Job) -> Outcome:
    """The outcome of one job by itself. Raises Failure."""
    input = _read(work, job)
    (coded,) = work.code([input])
    return work.write(job, input, coded)


def attempt(work: Work, job: Job) -> Outcome:
    """The same, whatever goes wrong in it: errors cross processes as lines."""
    try:
        return do(work, job)
    except Exception as error:
        return _failed(job, error)


def attempt_all(work: Work, jobs: Iterable[Job]) -> Iterator[Outcome]:
    """The outcomes of jobs in one process, of which the networks take as many at once as have room."""
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
        else:  # which of them it was is not known
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
