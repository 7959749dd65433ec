"""`cae decode`: a .cae file to an image file."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path

import click

from . import options
from .failures import BAD_CAE_FILE, DAMAGED, NO_OUTPUT, about
from .files import check_output, write_file
from .progress import progress


@click.command()
@click.argument("source", metavar="IN", type=options.FILE)
@click.argument("output", metavar="OUT", type=options.FILE)
@options.device
@options.threads
@options.max_pixels
@click.option("--allow-damaged", is_flag=True, help="Decode what is intact of a damaged file; the rest becomes grey.")
@options.quiet
def decode(
    source: Path,
    output: Path,
    device: str,
    threads: int | None,
    max_pixels: int,
    allow_damaged: bool,
    quiet: bool,
) -> None:
    """Decode the file IN (.cae) to the image OUT.

    The suffix of OUT chooses the format: png, webp (lossless), tiff, bmp, ppm, pgm, or jpg (quality 95).
    """
    from ..bitstream.container import read_header
    from ..codec.image import output_format, save_picture

    with about(output, NO_OUTPUT):
        format = output_format(output)
        check_output(output, source)
    with about(source, BAD_CAE_FILE):
        data = source.read_bytes()
        fingerprint = read_header(data).fingerprint
    with about(source):
        codec = options.load_codec(device, threads, fingerprint)
    start = time.perf_counter()
    with about(source), progress(quiet) as report:
        picture = codec.decode(data, max_pixels=max_pixels, allow_damaged=allow_damaged, progress=report)
    seconds = time.perf_counter() - start
    with about(output, NO_OUTPUT):
        file = BytesIO()
        save_picture(picture, file, format)
        written = file.getvalue()
        write_file(output, written)
    if not quiet:
        pixels = picture.width * picture.height
        click.echo(
            f"{output}: {picture.width}x{picture.height} {picture.mode}, {len(written):,} bytes (from {len(data):,}), "
            f"{8 * len(data) / pixels:.3f} bpp, {pixels * len(picture.mode) / len(data):.1f}:1 (8-bit pixels), "
            f"{seconds:.2f} s"
        )
    for note in picture.notes:
        click.echo(f"cae: {source}: {note}", err=True)
    if picture.notes:
        click.get_current_context().exit(DAMAGED)
