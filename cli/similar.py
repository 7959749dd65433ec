"""`cae similar`: near duplicates among pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ..codec.options import SIMILAR
from . import describing, options
from .describing import Described, Describing
from .failures import one_line
from .files import STREAM
from .remote import Place
from .work import Job, do


@click.command()
@options.pictures
@click.option("--query", metavar="FILE", type=options.FILE, help="Print what is similar to FILE instead of all groups.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    callback=options.finite,
    metavar="0..1",
    default=SIMILAR,
    show_default=True,
    help="The distance up to which two pictures are similar.",
)
@options.describing
def similar(
    sources: tuple[Place, ...],
    recursive: bool,
    query: Path | None,
    threshold: float,
    processes: int | None,
    device: str,
    threads: int | None,
    max_pixels: int,
    quiet: bool,
) -> None:
    """Print groups of near duplicates among the .cae files, images and folders of them IN: the same picture at other
    qualities, in other formats and sizes, or a little cropped.

    A line is the distance to the nearest of the group, or with --query to FILE, and the name; an empty line is between
    groups. Images are encoded in memory first. A file that cannot be read is named and left out."""
    work = Describing(describing.signature, device, max_pixels, quiet)
    asked = do(work, Job(query, STREAM)) if query else None
    done, failed = describing.describe(sources, recursive, work, processes, threads)
    if isinstance(asked, Described):
        _print_like(asked, done, threshold)
    elif done:
        _print_groups(done, threshold)
    describing.end(done, failed)


def _print_like(asked: Described, done: Sequence[Described], threshold: float) -> None:
    """The pictures that are similar to one, the nearest first, without that itself."""
    import numpy as np

    from ..codec.features import distances

    others = [outcome for outcome in done if outcome.job.source != asked.job.source]
    if others:
        (found,) = distances(asked.vector[None], np.array([outcome.vector for outcome in others]))
        for index in np.argsort(found, kind="stable").tolist():
            if found[index] <= threshold:
                _print(others[index], found[index])


def _print_groups(done: Sequence[Described], threshold: float) -> None:
    import numpy as np

    from ..codec.features import groups

    for number, group in enumerate(groups(np.array([outcome.vector for outcome in done]), threshold)):
        if number:
            click.echo()
        for index, distance in group:
            _print(done[index], distance)


def _print(outcome: Described, distance: float) -> None:
    click.echo(f"{distance:.3f}  {one_line(str(outcome.job.source))}")
