"""`cae decode`: .cae files to image files."""

from __future__ import annotations

import functools
import re
import time
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..codec.config import PNG_COMPRESSION, SCALES
from . import jobs, options
from .failures import BAD_CAE_FILE, DAMAGED, NO_OUTPUT, about
from .files import STREAM, check_output, is_stream, new_file, read_input, write_output
from .progress import progress
from .remote import Place

if TYPE_CHECKING:
    from ..bitstream.container import Header
    from ..codec.decoder import Decoder, Progress
    from ..codec.image import Picture
    from ..codec.view import Write
    from ..codec.windows import Pixels

SCALE_WORDS = {f"1/{scale}": scale for scale in SCALES}


@dataclass(frozen=True)
class Settings:
    """What is asked of each decoding. format: of the output, None for what its suffix says; region: x, y, width, height
    in pixels; scale: how many pixels to a side become one; files: how many a process is to decode."""

    format: str | None
    region: tuple[int, int, int, int] | None
    scale: int
    compression: int
    allow_damaged: bool
    device: str
    threads: int | None
    max_pixels: int
    quiet: bool
    files: int = 1


def _region(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int, int, int] | None:
    """X,Y,WIDTH,HEIGHT in pixels."""
    if value is None:
        return None
    parts = value.split(",")
    if len(parts) != 4 or not all(re.fullmatch(r"\s*\d{1,9}\s*", part) for part in parts):
        raise click.BadParameter(f"{value!r} is not X,Y,WIDTH,HEIGHT in pixels, such as 100,0,640,480", ctx, param)
    x, y, width, height = map(int, parts)
    return x, y, width, height


def _format(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The suffix of a format."""
    if value is None:
        return None
    from ..bitstream.errors import ImageError
    from ..codec.save import FORMATS, check_format

    try:
        return check_format(value)
    except ImageError as error:
        raise click.BadParameter(f"{value!r} is not one of {', '.join(FORMATS)}", ctx, param) from error


@click.command()
@options.inputs
@click.option(
    "--format",
    callback=_format,
    metavar="FORMAT",
    help="png, webp (lossless), tiff, bmp, ppm, pgm or jpg (quality 95); by default what the suffix of OUT says, "
    "and png with --out.",
)
@click.option("--region", callback=_region, metavar="X,Y,W,H", help="Decode this part of the image alone.")
@click.option(
    "--scale",
    type=click.Choice(list(SCALE_WORDS)),
    default="1/1",
    show_default=True,
    help="Reduce the image while it is decoded.",
)
@click.option(
    "--png-compression",
    "compression",
    type=click.IntRange(0, 9),
    metavar="LEVEL",
    default=PNG_COMPRESSION,
    show_default=True,
    help="0 is the fastest, 9 the smallest PNG.",
)
@click.option("--allow-damaged", is_flag=True, help="Decode what is intact of a damaged file; the rest becomes grey.")
@options.running
def decode(
    sources: tuple[Place, ...],
    folder: Place | None,
    recursive: bool,
    format: str | None,
    region: tuple[int, int, int, int] | None,
    scale: str,
    compression: int,
    allow_damaged: bool,
    engine: str,
    processes: int | None,
    skip_existing: bool,
    device: str,
    threads: int | None,
    max_pixels: int,
    quiet: bool,
) -> None:
    """Decode the file IN (.cae) to the image OUT, or many files and folders of them into the folder of --out.

    "-" is standard input or output; a URL such as s3://bucket/x.cae is what fsspec takes it for.
    """
    share = options.share(threads, engine, processes)
    settings = Settings(
        format, region, SCALE_WORDS[scale], compression, allow_damaged, device, share, max_pixels, quiet
    )
    chosen = options.choose_engine(engine, processes, threads, device)
    planned = jobs.plan(sources, folder, recursive, {".cae"}, f".{format or 'png'}")
    if len(planned) > 1:
        settings = replace(settings, quiet=True, files=-(-len(planned) // (processes or 1)))
    jobs.run(planned, functools.partial(decode_file, settings), chosen, quiet, skip_existing)


def decode_file(settings: Settings, job: jobs.Job) -> jobs.Outcome:
    """Decodes one file. Raises Failure."""
    from ..bitstream.container import read_header
    from ..codec.save import output_format, save_picture

    if job.output == STREAM and settings.format is None:
        raise click.UsageError("standard output has no suffix: give --format")
    with about(job.output, NO_OUTPUT):
        format = settings.format or output_format(job.output.name)
        check_output(job.output, job.source)
    with about(job.source, BAD_CAE_FILE):
        data = read_input(job.source)
        header = read_header(data)
    with about(job.source):
        decoder = options.load_decoder(settings.device, settings.threads, header, settings.files)
    left_out: tuple[str, ...] = ()
    start = time.perf_counter()
    if format in ("ppm", "pgm") and isinstance(job.output, Path) and job.output != STREAM and not is_stream(job.output):
        picture = _decode_rows(decoder, data, header, settings, job, format)
        seconds = time.perf_counter() - start
        written = job.output.stat().st_size
    else:
        with about(job.source), progress(settings.quiet) as report:
            picture = _decode(decoder, data, settings, report)
        seconds = time.perf_counter() - start
        with about(job.output, NO_OUTPUT):
            file = BytesIO()
            left_out = save_picture(picture, file, format, settings.compression)
            write_output(job.output, file.getvalue())
            written = file.tell()
    pixels = header.width * header.height
    line = (
        f"{job.output}: {picture.width}x{picture.height} {picture.mode}, {written:,} bytes (from {len(data):,}), "
        f"{8 * len(data) / pixels:.3f} bpp, {pixels * len(picture.mode) / len(data):.1f}:1 (8-bit pixels), "
        f"{seconds:.2f} s"
    )
    notes = (*(f"{job.source}: {note}" for note in picture.notes), *(f"{job.output}: {note}" for note in left_out))
    code = DAMAGED if picture.notes else 0
    return jobs.Outcome(job, line, notes, len(data), written, len(data), pixels, code=code)


def _decode(decoder: Decoder, data: bytes, settings: Settings, report: Progress, write: Write | None = None) -> Picture:
    return decoder.decode(
        data,
        max_pixels=settings.max_pixels,
        allow_damaged=settings.allow_damaged,
        region=settings.region,
        scale=settings.scale,
        write=write,
        progress=report,
    )


def _decode_rows(
    decoder: Decoder, data: bytes, header: Header, settings: Settings, job: jobs.Job, format: str
) -> Picture:
    """Decodes to a file whose rows are written as they come: memory does not grow with its height."""
    from ..codec.netpbm import file_header
    from ..codec.save import check_holds

    assert isinstance(job.output, Path)
    size = settings.region[2:] if settings.region else (header.width, header.height)
    width, height = (-(-side // settings.scale) for side in size)
    with about(job.output, NO_OUTPUT), new_file(job.output) as file:

        def write(rows: Pixels) -> None:
            with about(job.output, NO_OUTPUT):
                file.write(rows.tobytes())

        check_holds(format, header.grey, None)
        file.write(file_header(width, height, grey=header.grey))
        with about(job.source), progress(settings.quiet) as report:
            picture = _decode(decoder, data, settings, report, write)
        check_holds(format, header.grey, picture.alpha)
    return picture
