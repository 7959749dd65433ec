"""`cae rd-curve`: rate and distortion of this codec beside others, on real files."""

from __future__ import annotations

import math
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..codec.machine.files import write_file
from . import options
from .extras import check_evaluation
from .failures import NO_OUTPUT, UNEXPECTED, Failure, about
from .files import check_output, utf8

if TYPE_CHECKING:
    from ..codec.evaluation.images import TestImage
    from ..codec.evaluation.protocol import ImageCodec


def _list_codecs(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    check_evaluation("rd-curve")
    from ..bitstream.errors import CaeError
    from ..codec.evaluation.codecs import CODECS, DEFAULT, make_codec

    for name, line in CODECS.items():
        note = " [default]" if name in DEFAULT else ""
        try:
            if not name.startswith("zoo"):
                make_codec(name)
        except CaeError as error:
            note = f" [not here: {error}]"
        click.echo(f"{name:10} {line}{note}")
    ctx.exit()


def _partners(ctx: click.Context, option: click.Parameter, words: tuple[str, ...]) -> list[tuple[str, float]]:
    pairs = []
    for word in words:
        name, _, number = word.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not name or (name == "bpp" and value <= 0):
            raise click.BadParameter(f"{word} is not of the form bpp=0.5 or psnr=34")
        pairs.append((name, value))
    return pairs


@click.command("rd-curve")
@click.argument("images", metavar="[IMAGES]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--output", "report", metavar="F.html", type=options.FILE, help="A report for the browser.")
@click.option("--csv", "csv_file", metavar="F.csv", type=options.FILE, help="Every measured point, as a table.")
@click.option("--json", "json_file", metavar="F.json", type=options.FILE, help="Every point, means and deltas.")
@click.option("--plot", metavar="F.png|svg", type=options.FILE, help="The curves as a picture.")
@click.option("--codecs", metavar="A,B,...", help="Which to measure, with their options; see --list-codecs.")
@click.option(
    "--list-codecs", is_flag=True, is_eager=True, expose_value=False, callback=_list_codecs, help="Show them and exit."
)
@click.option("--metrics", metavar="A,B,...", help="psnr, psnr-y, ms-ssim, ssimulacra2 (the default: these), ssim.")
@click.option("--reference", metavar="CODEC", help="BD-rates are against this one.  [default: jpeg, if measured]")
@click.option("--at", metavar="NAME=VALUE", multiple=True, callback=_partners, help="bpp=0.5 or psnr=34: interpolate.")
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
    anchors: str | None,
    show: str | None,
    jobs: int,
    no_cache: bool,
    quiet: bool,
) -> None:
    """Measure codecs on IMAGES, files and folders: file sizes, distortion, times, BD-rates.

    Without IMAGES, five synthetic ones are taken: enough to see that it works, not to conclude anything from.
    """
    check_evaluation("rd-curve")
    _check_outputs(report, plot, csv_file, json_file)
    from ..codec.evaluation import anchors as published
    from ..codec.evaluation.cache import default_folder
    from ..codec.evaluation.images import find_images, open_images
    from ..codec.evaluation.measure import MeasurementError, measure, threads_of
    from ..codec.evaluation.summary import Summary
    from .rd_table import partner_lines, table_lines

    chosen = _choose_metrics(metrics, at)
    cache, threads = None if no_cache else default_folder(), threads_of(jobs)
    with tempfile.TemporaryDirectory(prefix="cae-") as scratch:
        found, failures = open_images(find_images(images) if images else _demonstration(Path(scratch)))
        for line in failures:
            click.echo(f"cae: {line}; skipped", err=True)
        if not found:
            raise Failure("none of the images can be read", UNEXPECTED)
        if anchors is not None:
            published.check_images(image.sha256 for image in found)
        shown = _choose_images(show, found)
        loaded = _load_codecs(codecs, threads)
        reference = reference or ("jpeg" if "jpeg" in loaded else next(iter(loaded)))
        if reference not in loaded:
            raise click.UsageError(f"the reference {reference} is not among the codecs {', '.join(loaded)}")
        for image in found:
            for note in image.notes if not quiet else ():
                click.echo(f"cae: {image.path}: {note}", err=True)
        qualities = {name: codec.qualities for name, codec in loaded.items()}
        settings = {name: codec.settings for name, codec in loaded.items()}
        try:
            with _progress(quiet) as progress:
                points = measure(found, qualities, chosen, cache, jobs, progress)
            summary = Summary(found, list(loaded), settings, chosen, reference, points, bool(images))
            if not quiet:
                for line in [*table_lines(summary), *partner_lines(summary, at)]:
                    click.echo(line)
            curves = published.anchors() if anchors is not None else ()
            facts = _facts(jobs, threads)
            if csv_file is not None:
                _write(csv_file, summary.to_csv())
            if json_file is not None:
                _write(json_file, summary.to_json(**facts))
            if plot is not None:
                from ..codec.evaluation.plot import draw

                _write(plot, draw(summary, plot.suffix.lower().lstrip("."), curves))
            if report is not None:
                from ..codec.evaluation.report import compare, make_report

                rates = [value for name, value in at if name == "bpp"] or [0.5]
                comparisons = compare(summary, shown, rates, cache, threads)
                _write(report, make_report(summary, facts, curves, comparisons))
        except MeasurementError as error:
            raise Failure(str(error), UNEXPECTED) from error
    if failures:
        count = len(found) + len(failures)
        raise Failure(f"{len(failures)} of {count} images could not be read", UNEXPECTED)


def _check_outputs(report: Path | None, plot: Path | None, points: Path | None, summary: Path | None) -> None:
    """Before anything is measured: can it be written, and is it what its name says?"""
    kinds = (report, (".html", ".htm")), (plot, (".png", ".svg")), (points, (".csv",)), (summary, (".json",))
    for path, suffixes in kinds:
        if path is not None:
            options.check_suffix(path, *suffixes)
            with about(path, NO_OUTPUT):
                check_output(path, path.parent)


def _demonstration(folder: Path) -> list[Path]:
    from ..codec.evaluation.demo import write_demo

    return write_demo(folder)


def _choose_metrics(words: str | None, at: Sequence[tuple[str, float]]) -> list[str]:
    from ..codec.evaluation.metrics import DEFAULT, METRICS

    chosen = list(dict.fromkeys(words.split(","))) if words else list(DEFAULT)
    for name in chosen:
        if name not in METRICS:
            raise click.UsageError(f"there is no metric {name}; there are {', '.join(METRICS)}")
    for name, _ in at:
        if name not in ("bpp", *chosen):
            raise click.UsageError(f"--at {name}: measured are bpp, {', '.join(chosen)}")
    return chosen


def _choose_images(words: str | None, found: Sequence[TestImage]) -> list[TestImage]:
    """Those of the report: asked for by name, or three spread over the set."""
    if words is None:
        return [found[index] for index in sorted({len(found) // 6, len(found) // 2, 5 * len(found) // 6})]
    chosen = []
    for word in words.split(","):
        matching = [image for image in found if word in (image.name, Path(image.name).stem)]
        if not matching:
            raise click.UsageError(f"--show {word}: no image of that name")
        chosen.append(matching[0])
    return chosen


def _load_codecs(words: str | None, threads: int) -> dict[str, ImageCodec]:
    """Asked for by name: each must be here. By default: those that are, with a line about others."""
    from ..codec.evaluation.codecs import DEFAULT
    from ..codec.evaluation.measure import load
    from ..codec.evaluation.protocol import UnavailableCodecError

    loaded = {}
    for word in dict.fromkeys(words.split(",")) if words else DEFAULT:
        try:
            loaded[word] = load(word, threads)
        except UnavailableCodecError as error:
            if words:
                raise
            click.echo(f"cae: {error}; left out", err=True)
    return loaded


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with click.progressbar(length=1, label="measuring", file=sys.stderr, show_pos=True) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield show


def _facts(jobs: int, threads: int) -> dict[str, Any]:
    """What a reader needs to judge the times."""
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
