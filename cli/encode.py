"""`cae encode`: an image file to a .cae file."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path

import click

from . import options
from .failures import BAD_IMAGE, NO_OUTPUT, about
from .files import check_output, write_file
from .progress import progress


@click.command()
@click.argument("source", metavar="IN", type=options.FILE)
@click.argument("output", metavar="OUT", type=options.FILE)
@click.option(
    "-q",
    "--quality",
    type=click.FloatRange(0, 100),
    metavar="Q",
    default=50,
    show_default=True,
    help="0 is the smallest file, 100 the best picture.",
)
@options.device
@options.threads
@options.max_pixels
@options.quiet
def encode(
    source: Path, output: Path, quality: float, device: str, threads: int | None, max_pixels: int, quiet: bool
) -> None:
    """Encode the image IN to the file OUT (.cae)."""
    with about(output, NO_OUTPUT):
        check_output(output, source)
    with about(source, BAD_IMAGE):
        original = source.read_bytes()
        from ..codec.image import read_picture

        picture = read_picture(BytesIO(original), max_pixels)
    codec = options.load_codec(device, threads)
    start = time.perf_counter()
    with about(source), progress(quiet) as report:
        data = codec.encode(picture, quality, progress=report)
    seconds = time.perf_counter() - start
    with about(output, NO_OUTPUT):
        write_file(output, data)
    if quiet:
        return
    for note in picture.notes:
        click.echo(f"cae: {source}: {note}", err=True)
    pixels = picture.width * picture.height
    click.echo(
        f"{output}: {len(data):,} bytes (from {len(original):,}), {8 * len(data) / pixels:.3f} bpp, "
        f"{pixels * len(picture.mode) / len(data):.1f}:1 (8-bit pixels), {seconds:.2f} s, q {quality:g}"
    )
    if len(data) > len(original):
        click.echo(f"cae: {output}: larger than {source}", err=True)
