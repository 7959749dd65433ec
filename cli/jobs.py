"""Runs over one or many files: which inputs go to which outputs, and the lines about them on stdout and stderr."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path, PurePath

import click

from .failures import about, one_line, say
from .files import STREAM, existing, is_data
from .progress import FilesBar
from .remote import Place, Remote
from .work import Job, Outcome, Work, do

Engine = Callable[[Sequence[Job], Work], Generator[Outcome, None, None]]
"""Does all jobs, and gives the outcome of each as it ends, in any order. Closing it ends the jobs that are running."""


def plan(
    sources: Sequence[Place],
    folder: Place | None,
    recursive: bool,
    suffixes: Collection[str],
    suffix: str,
    others: Collection[str] = (),
    *,
    same_kind: bool = False,
) -> tuple[list[Job], Counter[str]]:
    """The jobs of a command's arguments: IN OUT, or any number of inputs with a folder for the outputs.

    Folders among the inputs stand for the files in them with one of `suffixes`, and with `recursive` for those of
    their subfolders too, whose paths are kept. Outputs in a folder get `suffix`. Left out, and counted, are those with
    a suffix of `others`, and what macOS keeps beside files under names that begin with "._". same_kind: whether outputs
    may be files of the inputs' kinds.
    Raises UsageError, also where two inputs would have the same output, or OUT the name of an input.
    """
    if folder is None:
        if len(sources) != 2:
            raise click.UsageError("give IN and OUT, or any number of inputs and --out FOLDER")
        if _is_folder(sources[0]):
            raise click.UsageError(f"{sources[0]} is a folder: say where its files go by --out FOLDER")
        if sources[1].suffix.lower() in suffixes and not same_kind:  # a shell's * may have named two inputs
            raise click.UsageError(
                f"{sources[1]} is named as an input: name OUT otherwise, or say where the outputs go by --out FOLDER"
            )
        return [Job(sources[0], sources[1])], Counter()
    if STREAM in sources:
        raise click.UsageError("standard input has no name for a file in --out FOLDER")
    jobs: dict[Place, Job] = {}
    found, left_out = files(sources, recursive, suffixes, others)
    for path, name in found:
        if ".." in name.parts:  # archives may have such names
            raise click.UsageError(f"{path} would leave {folder}")
        output = folder / name.with_suffix(suffix)
        if output in jobs and jobs[output].source != path:
            raise click.UsageError(f"{jobs[output].source} and {path} would both become {output}")
        jobs[output] = Job(path, output, make_folder=True)
    return list(jobs.values()), left_out


def files(
    sources: Sequence[Place], recursive: bool, suffixes: Collection[str], others: Collection[str] = ()
) -> tuple[list[tuple[Place, PurePath]], Counter[str]]:
    """The files that a command's inputs stand for, as `plan` takes them, each with its name below the folder that it
    was found in; and how many were left out. Raises UsageError where there are none."""
    left_out: Counter[str] = Counter()
    found = [each for source in sources for each in _files(source, recursive, suffixes, others, left_out)]
    if not found:
        kinds = ", ".join(sorted(suffixes))
        there = f"; {_counted(left_out)}" if left_out else ""
        raise click.UsageError(f"no files ending in {kinds} in {', '.join(map(str, sources)) or 'nothing'}{there}")
    return found, left_out


def _counted(left_out: Counter[str]) -> str:
    return "left out: " + ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))


def _files(
    source: Place, recursive: bool, suffixes: Collection[str], others: Collection[str], left_out: Counter[str]
) -> Iterator[tuple[Place, PurePath]]:
    """(path, name below the output folder) of a file, or of each file of a folder."""

    def is_wanted(file: Place) -> bool:
        suffix = file.suffix.lower()
        if suffix in suffixes and file.name.startswith("._"):
            left_out["._* of macOS"] += 1
        elif suffix in suffixes:
            return True
        elif suffix in others:
            left_out[suffix] += 1
        return False

    if not _is_folder(source):
        yield source, PurePath(source.name)
        return
    if isinstance(source, Remote):
        with about(source):
            files = source.files(recursive)
        for file in files:
            if is_wanted(file):
                yield file, file.relative_to(source)
        return
    unreadable: list[Path] = []
    paths: list[Path] = []
    for top, _, names in os.walk(source, onerror=lambda error: unreadable.append(Path(error.filename))):
        paths += [Path(top, name) for name in names]
        if not recursive:
            break
    found = (path for path in paths if path.is_file() and is_wanted(path))
    for path in sorted((*found, *unreadable)):  # folders that cannot be read fail as files do
        yield path, path.relative_to(source)


def _is_folder(source: Place) -> bool:
    """Whether a source is a folder. A path where that cannot be seen counts as a file, which will fail when it is read;
    for a URL raises Failure."""
    if isinstance(source, Remote):
        with about(source):
            return source.is_dir()
    try:
        return source.is_dir()
    except OSError:
        return False


def run(
    planned: tuple[Sequence[Job], Counter[str]],
    skip_existing: bool,
    work: Work,
    engine: Engine,
    processes: int | None,
    quiet: bool,
) -> None:
    """Does all jobs, prints what became of them, and ends the command: with exit code 1 if some of several failed.

    planned: what `plan` returned. skip_existing: whether to leave out jobs whose output exists. engine, processes: of
    `options.choose_engine`.
    """
    asked, left_out = planned
    there = existing(job.output for job in asked) if skip_existing else ()
    jobs = [job for job in asked if job.output not in there]
    skipped = len(asked) - len(jobs)
    tell_left_out(left_out, quiet)
    if len(asked) == 1 and jobs:
        outcome = do(work, jobs[0])
        _tell_notes(outcome, quiet)
        if not quiet and outcome.line:
            click.echo(one_line(outcome.line), err=is_data(jobs[0].output))
        click.get_current_context().exit(outcome.code)
    begin = time.perf_counter()
    done = do_all(jobs, work, engine, processes, quiet)
    failed = sum(bool(outcome.error) for outcome in done)
    if not quiet:
        click.echo(_summary(done, skipped, failed, time.perf_counter() - begin))
    click.get_current_context().exit(1 if failed else max((outcome.code for outcome in done), default=0))


def do_all(jobs: Sequence[Job], work: Work, engine: Engine, processes: int | None, quiet: bool) -> list[Outcome]:
    """Does all jobs with a bar on stderr; prints errors and notes as they come. The outcomes are in the order in which
    jobs ended. Arguments are those of `run`."""
    work = work.as_one_of(-(-len(jobs) // (processes or 1)))
    bar = FilesBar(len(jobs), quiet)
    done: list[Outcome] = []
    read = 0
    with closing(engine(jobs, work)) as outcomes:
        for outcome in outcomes if jobs else ():
            done.append(outcome)
            read += outcome.bytes_in
            bar.clear()
            if outcome.error:
                say(outcome.error)
            _tell_notes(outcome, quiet)
            bar.show(len(done), read)
    bar.clear()
    return done


def tell_left_out(left_out: Counter[str], quiet: bool) -> None:
    """Prints how many files were left out to stderr."""
    if left_out and not quiet:
        say(_counted(left_out))


def _tell_notes(outcome: Outcome, quiet: bool) -> None:
    """Prints the notes of an outcome to stderr, with `quiet` only where something was lost."""
    if not quiet or outcome.code:
        for line in outcome.notes:
            say(line)


def _summary(done: Iterable[Outcome], skipped: int, failed: int, seconds: float) -> str:
    good = [outcome for outcome in done if not outcome.error]
    bytes_in, bytes_out = sum(outcome.bytes_in for outcome in good), sum(outcome.bytes_out for outcome in good)
    bits, pixels = 8 * sum(outcome.bytes_cae for outcome in good), sum(outcome.pixels for outcome in good)
    words = [f"{len(good)} files, {bytes_out:,} bytes (from {bytes_in:,})"]
    if pixels:
        words.append(f"{bits / pixels:.3f} bpp, {pixels / 1e6 / seconds:.1f} MP/s")
    words.append(f"{seconds:.1f} s")
    words += [f"{skipped} skipped: there already"] if skipped else []
    words += [f"{failed} FAILED"] if failed else []
    return ", ".join(words)
