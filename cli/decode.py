"""`cae decode`: .cae files to image files."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..codec.machine.files import new_file
from ..codec.options import PNG_COMPRESSION, SCALES
from . import jobs, options
from .failures import BAD_CAE_FILE, DAMAGED, NO_OUTPUT, about
from .files import STREAM, check_output, is_data, read_input, write_output
from .progress import progress
from .remote import Place
from .work import Job, Outcome

if TYPE_CHECKING:
    from ..bitstream.header import Header
    from ..codec.codec import FileCoder
    from ..codec.decode.decoder import Progress
    from ..codec.decode.region import Write
    from ..codec.image.picture import Picture
    from ..codec.model.arrays import Pixels

SCALE_WORDS = {f"1/{scale}": scale for scale in SCALES}


@dataclass(frozen=True)
class Settings:
    """The options of each decoding. format: suffix of the output's format, None for that of its name; region: x, y,
    width, height in pixels; scale: by which sides are divided; files: how many a process is to decode."""

    format: str | None
    region: tuple[int, int, int, int] | None
    scale: int
    compression: int
    allow_damaged: bool
    device: str
    max_pixels: int
    quiet: bool
    files: int = 1


def _region(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int, int, int] | None:
    """Callback of --region: parses X,Y,WIDTH,HEIGHT in pixels. Raises BadParameter."""
    if value is None:
        return None
    parts = value.split(",")
    if len(parts) != 4 or not all(re.fullmatch(r"\s*\d{1,9}\s*", part) for part in parts):
        raise click.BadParameter(f"{value!r} is not X,Y,WIDTH,HEIGHT in pixels, such as 100,0,640,480", ctx, param)
    x, y, width, height = map(int, parts)
    return x, y, width, height


def _format(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Callback of --format: the suffix of a format. Raises BadParameter for an unknown one."""
    if value is None:
        return None
    from ..bitstream.errors import ImageError
    from ..codec.image.save import FORMATS, check_format

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
    callback=lambda _, __, value: SCALE_WORDS[value],
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
    engine: str,
    processes: int | None,
    skip_existing: bool,
    threads: int | None,
    **asked: Any,
) -> None:
    """Decode the file IN (.cae) to the image OUT, or many files and folders of them into the folder of --out.

    "-" is standard input or output; a URL such as s3://bucket/x.cae is what fsspec takes it for."""
    settings = Settings(**asked)
    chosen = options.choose_engine(engine, processes, threads, settings.device)
    planned = jobs.plan(sources, folder, recursive, {".cae"}, f".{settings.format or 'png'}")
    jobs.run(planned, skip_existing, Decoding(settings), chosen, processes, settings.quiet)


@dataclass(frozen=True)
class Source:
    """A file to decode, as an Input of `work`. format: that of its output."""

    job: Job
    data: bytes
    header: Header
    format: str
    decoder: FileCoder
    share: float

    @property
    def is_streamed(self) -> bool:
        """Whether rows are written as they are decoded, so that memory does not grow with the image's height."""
        job = self.job
        is_file = isinstance(job.output, Path) and not is_data(job.output)
        return is_file and self.format in ("ppm", "pgm")


@dataclass(frozen=True)
class Decoded:
    """A decoded picture, the seconds that took, and the bytes of its file, None if that is still to be written."""

    picture: Picture
    seconds: float
    written: int | None = None


@dataclass(frozen=True)
class Decoding:
    """Decodes files with some settings: a `work.Work`."""

    settings: Settings

    def as_one_of(self, files: int) -> Decoding:
        return Decoding(replace(self.settings, quiet=True, files=files))

    def read(self, job: Job) -> Source:
        """Reads a .cae file, and loads what decodes it. Raises Failure, UsageError."""
        from ..bitstream.header import read_header
        from ..codec.image.save import output_format
        from ..codec.select import load_decoder

        settings = self.settings
        if job.output == STREAM and settings.format is None:
            raise click.UsageError("standard output has no suffix: give --format")
        with about(job.output, NO_OUTPUT):
            format = settings.format or output_format(job.output.name)
            check_output(job.output, job.source)
        with about(job.source, BAD_CAE_FILE):
            data = read_input(job.source)
            header = read_header(data)
        with about(job.source):
            decoder = load_decoder(settings.device, header, settings.files)
        source = Source(job, data, header, format, decoder, 1)
        if settings.allow_damaged or source.is_streamed:
            return source
        return replace(source, share=decoder.share(header.width, header.height))

    def code(self, sources: Sequence[Source]) -> list[Decoded]:
        """Decodes files, several of equal size together. Raises Failure, CaeError."""
        if len(sources) == 1:
            return [self._decode_one(sources[0])]
        settings = self.settings
        start = time.perf_counter()
        pictures: dict[int, Picture] = {}
        for decoder in {id(source.decoder): source.decoder for source in sources}.values():  # one for each weights
            own = [index for index, source in enumerate(sources) if source.decoder is decoder]
            files = [sources[index].data for index in own]
            decoded = decoder.decode_many(
                files, max_pixels=settings.max_pixels, region=settings.region, scale=settings.scale
            )
            pictures |= zip(own, decoded, strict=True)
        seconds = (time.perf_counter() - start) / len(sources)
        return [Decoded(pictures[index], seconds) for index in range(len(sources))]

    def _decode_one(self, source: Source) -> Decoded:
        start = time.perf_counter()
        if source.is_streamed:
            picture, written = self._decode_rows(source)
            return Decoded(picture, time.perf_counter() - start, written)
        with about(source.job.source), progress(self.settings.quiet) as report:
            picture = self._decode(source, report)
        return Decoded(picture, time.perf_counter() - start)

    def _decode_rows(self, source: Source) -> tuple[Picture, int]:
        """Decodes to a file, row by row; returns the picture, without pixels, and the bytes of the file."""
        from ..codec.image.netpbm import file_header
        from ..codec.image.save import check_holds

        settings, header, output = self.settings, source.header, source.job.output
        assert isinstance(output, Path)
        size = settings.region[2:] if settings.region else (header.width, header.height)
        width, height = (-(-side // settings.scale) for side in size)
        with about(output, NO_OUTPUT), new_file(output) as file:

            def write(rows: Pixels) -> None:
                with about(output, NO_OUTPUT):
                    if not file.tell():  # whether it is grey, rows say
                        check_holds(source.format, rows.ndim == 2, None)
                        file.write(file_header(width, height, grey=rows.ndim == 2))
                    file.write(rows.tobytes())

            with about(source.job.source), progress(settings.quiet) as report:
                picture = self._decode(source, report, write)
            check_holds(source.format, picture.grey, picture.alpha)
        return picture, output.stat().st_size

    def _decode(self, source: Source, report: Progress, write: Write | None = None) -> Picture:
        settings = self.settings
        return source.decoder.decode(
            source.data,
            max_pixels=settings.max_pixels,
            allow_damaged=settings.allow_damaged,
            region=settings.region,
            scale=settings.scale,
            write=write,
            progress=report,
        )

    def write(self, job: Job, source: Source, decoded: Decoded) -> Outcome:
        """Writes the image, unless its rows have been written already. Raises Failure."""
        from ..codec.image.metadata import save_options
        from ..codec.image.save import FORMATS, save_picture

        picture, written = decoded.picture, decoded.written
        left_out: tuple[str, ...] = ()
        if written is None:
            with about(job.output, NO_OUTPUT):
                file = BytesIO()
                left_out = save_picture(picture, file, source.format, self.settings.compression)
                write_output(job.output, file.getvalue())
                written = file.tell()
        else:
            left_out = save_options(picture.metadata, FORMATS[source.format], grey=picture.grey)[1]
        size, pixels = len(source.data), source.header.width * source.header.height
        line = (
            f"{job.output}: {picture.width}x{picture.height} {picture.mode}, {written:,} bytes (from {size:,}), "
            f"{8 * size / pixels:.3f} bpp, {pixels * len(picture.mode) / size:.1f}:1 (8-bit pixels), "
            f"{decoded.seconds:.2f} s"
        )
        notes = (*(f"{job.source}: {note}" for note in picture.notes), *(f"{job.output}: {note}" for note in left_out))
        return Outcome(job, line, notes, size, written, size, pixels, code=DAMAGED if picture.is_damaged else 0)
