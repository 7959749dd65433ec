"""`cae compare`: what files of an image have lost against it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..codec.machine.files import write_file
from .columns import columns
from .extras import check_extra
from .failures import BAD_CAE_FILE, BAD_IMAGE, NO_OUTPUT, about, say
from .files import check_output, utf8
from .options import FILE, check_suffix

if TYPE_CHECKING:
    from ..codec.evaluation.comparison import Version


@click.command()
@click.argument("original", metavar="ORIGINAL", type=FILE)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option(
    "--html",
    "page",
    metavar="PAGE",
    type=FILE,
    help="Write a page to look at them: sliders, differences, and for .cae files where the bits went.",
)
def compare(original: Path, files: tuple[Path, ...], page: Path | None) -> None:
    """Measure what each FILE (.cae or any image) has lost against the image ORIGINAL, and where most of it was lost.

    Transparent images are measured on white."""
    check_extra("compare", "eval")
    from ..codec.evaluation.blocks import ERROR
    from ..codec.evaluation.comparison import check_sizes, make_page, table, worst_blocks

    if page is not None:
        check_suffix(page, ".html", ".htm")
        with about(page, NO_OUTPUT):
            check_output(page, original)
    first = _open(original, maps=False)
    versions = []
    for path in files:
        versions.append(_open(path, maps=page is not None))
        check_sizes(first, versions[-1])
    heads, rows = table(first, versions)
    worst = worst_blocks(first, versions)
    places = [
        [version.name, *(errors.row() if errors else ("-", "-", "-", "none"))]
        for version, errors in zip(versions, worst, strict=True)
    ]
    for line in [*columns(heads, rows), "", *columns(["worst block of", "x", "y", "PSNR", ERROR], places)]:
        click.echo(line)
    if page is not None:
        with about(page, NO_OUTPUT):
            write_file(page, utf8(make_page(first, versions, heads, rows, worst)))


def _open(path: Path, maps: bool) -> Version:
    """Reads an image or .cae file; writes what was converted to stderr. Raises Failure."""
    from ..codec.evaluation.comparison import open_version

    with about(path, BAD_CAE_FILE if path.suffix.lower() == ".cae" else BAD_IMAGE):
        data = path.read_bytes()
    with about(path):
        version = open_version(path.name, data, maps)
    for note in version.notes:
        say(f"{path}: {note}")
    return version
