"""`cae rd-curve`: rate and distortion of this codec beside others, on real files."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from ..codec.machine.files import write_file
from . import options
from .extras import check_extra
from .failures import NO_OUTPUT, UNEXPECTED, Failure, about, say
from .files import check_output, utf8
from .rd_options import check_targets, choose_images, choose_metrics, list_codecs, load_codecs, pairs


@click.command("rd-curve")
@click.argument("images", metavar="[IMAGES]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--output", "report", metavar="F.html", type=options.FILE, help="A report for the browser.")
@click.option("--csv", "csv_file", metavar="F.csv", type=options.FILE, help="Every measured point, as a table.")
@click.option("--json", "json_file", metavar="F.json", type=options.FILE, help="Every point, means and deltas.")
@click.option("--plot", metavar="F.png|svg", type=options.FILE, help="The curves as a picture.")
@click.option("--codecs", metavar="A,B,...", help="Codecs to measure, with their options; see --list-codecs.")
@click.option(
    "--list-codecs", is_flag=True, is_eager=True, expose_value=False, callback=list_codecs, help="List codecs and exit."
)
@click.option("--metrics", metavar="A,B,...", help="psnr, psnr-y, ms-ssim, ssimulacra2 (the default: these), ssim.")
@click.option("--reference", metavar="CODEC", help="All are compared with this one.  [default: jpeg, if measured]")
@click.option(
    "--at",
    metavar="NAME=VALUE",
    multiple=True,
    callback=pairs,
    help="Sizes at equal quality: ssimulacra2=70, psnr-y=36, ms-ssim=0.98; bpp=0.5: quality at equal size. Repeatable.",
)
@click.option("--group", is_flag=True, help="Tables for each sub-folder of IMAGES by itself: kinds of images apart.")
@click.option("--anchors", type=click.Choice(["kodak"]), help="Published curves behind the measured ones.")
@click.option("--show", metavar="NAME,...", help="The images that the report compares at equal size; three by default.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes; they share the cores."
)
@click.option("--no-cache", is_flag=True, help="Measure all anew and keep nothing.")
@options.quiet
def rd_curve(
    images: tuple[Path, ...],
    report: Path | None,
    csv_file: Path | None,
    json_file: Path | None,
    plot: Path | None,
    codecs: str | None,
    metrics: str | None,
    reference: str | None,
    at: list[tuple[str, float]],
    group: bool,
    anchors: str | None,
    show: str | None,
    jobs: int,
    no_cache: bool,
    quiet: bool,
) -> None:
    """Measure codecs on IMAGES, files and folders: file sizes, distortion, times, BD-rates.

    Without IMAGES, five synthetic ones are taken: enough to see that it works, not to conclude anything from."""
    check_extra("rd-curve", "eval")
    _check_outputs(report, plot, csv_file, json_file)
    if group and (anchors is not None or not images):
        raise click.UsageError("--group takes images of your own, and no --anchors: those are of all images together")
    from ..codec.evaluation import anchors as published
    from ..codec.evaluation.cache import default_folder
    from ..codec.evaluation.demo import write_demo
    from ..codec.evaluation.export import to_csv, to_json
    from ..codec.evaluation.images import find_images, open_images
    from ..codec.evaluation.measure import MeasurementError, measure, threads_of
    from ..codec.evaluation.summary import Summary, by_group
    from .rd_table import table_lines

    chosen = choose_metrics(metrics)
    targets = check_targets(at, chosen)
    cache, threads = None if no_cache else default_folder(), threads_of(jobs)
    with tempfile.TemporaryDirectory(prefix="cae-") as scratch:
        found, failures = open_images(find_images(images, group) if images else write_demo(Path(scratch)), group)
        for line in failures:
            say(f"{line}; skipped")
        if not found:
            raise Failure("none of the images can be read", UNEXPECTED)
        if anchors is not None:
            published.check_images(image.sha256 for image in found)
        shown = choose_images(show, found)
        loaded = load_codecs(codecs, threads)
        reference = reference or ("jpeg" if "jpeg" in loaded else next(iter(loaded)))
        if reference not in loaded:
            raise click.UsageError(f"the reference {reference} is not among the codecs {', '.join(loaded)}")
        for image in found:
            for note in image.notes if not quiet else ():
                say(f"{image.path}: {note}")
        qualities = {name: codec.qualities for name, codec in loaded.items()}
        settings = {name: codec.settings for name, codec in loaded.items()}
        try:
            with _progress(quiet) as progress:
                points = measure(found, qualities, chosen, cache, jobs, progress)
            measured = Summary(found, list(loaded), settings, chosen, reference, points, targets, bool(images))
            summaries = by_group(measured)
            for line in table_lines(summaries) if not quiet else ():
                click.echo(line)
            curves = published.anchors() if anchors is not None else ()
            facts = _facts(jobs, threads)
            if csv_file is not None:
                _write(csv_file, to_csv(summaries))
            if json_file is not None:
                _write(json_file, to_json(summaries, **facts))
            if plot is not None:
                from ..codec.evaluation.plot import draw

                _write(plot, draw(summaries, plot.suffix.lower().lstrip("."), curves))
            if report is not None:
                from ..codec.evaluation.equal_size import compare
                from ..codec.evaluation.report import make_report

                rates = [target.value for target in targets if target.name == "bpp"] or [0.5]
                comparisons = compare(measured, shown, rates, cache, threads)
                _write(report, make_report(summaries, facts, curves, comparisons))
        except MeasurementError as error:
            raise Failure(str(error), UNEXPECTED) from error
    if failures:
        count = len(found) + len(failures)
        raise Failure(f"{len(failures)} of {count} images could not be read", UNEXPECTED)


def _check_outputs(report: Path | None, plot: Path | None, points: Path | None, summary: Path | None) -> None:
    """Checks that outputs can be written and have the suffix of their kind. Raises Failure, UsageError."""
    kinds = (report, (".html", ".htm")), (plot, (".png", ".svg")), (points, (".csv",)), (summary, (".json",))
    for path, suffixes in kinds:
        if path is not None:
            options.check_suffix(path, *suffixes)
            with about(path, NO_OUTPUT):
                check_output(path, path.parent)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Gives a function that draws a bar on a terminal's stderr, of the points measured and of all."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with click.progressbar(length=1, label="measuring", file=sys.stderr, show_pos=True) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield show


def _facts(jobs: int, threads: int) -> dict[str, Any]:
    """The facts that a reader needs to judge the times."""
    return {
        "cae": version("cae-codec"),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores",
        "jobs": jobs,
        "threads_per_job": threads,
    }


def _write(path: Path, content: str | bytes) -> None:
    with about(path, NO_OUTPUT):
        write_file(path, utf8(content) if isinstance(content, str) else content)
