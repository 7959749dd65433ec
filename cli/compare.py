"""`cae compare`: an image beside what became of it."""

from __future__ import annotations

from pathlib import Path

import click

from .extras import check_evaluation
from .failures import NO_OUTPUT, about
from .files import check_output, write_file
from .options import FILE


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
    """Measure what each FILE (.cae or any image) has lost against the image ORIGINAL."""
    check_evaluation("compare")
    from ..codec.evaluation.comparison import check_sizes, make_page, open_version, table

    if page is not None:
        with about(page, NO_OUTPUT):
            check_output(page, original)
    with about(original):
        first = open_version(original, maps=False)
    versions = []
    for path in files:
        with about(path):
            versions.append(open_version(path, maps=page is not None))
        check_sizes(first, versions[-1])
    heads, rows = table(first, versions)
    widths = [max(len(line[column]) for line in [heads, *rows]) for column in range(len(heads))]
    for line in [heads, *rows]:
        cells = [
            line[0].ljust(widths[0]),
            *(text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)),
        ]
        click.echo("  ".join(cells).rstrip())
    if page is not None:
        with about(page, NO_OUTPUT):
            write_file(page, make_page(first, versions, heads, rows).encode("utf-8"))
