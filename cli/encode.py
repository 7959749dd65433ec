"""`cae encode`: image files to .cae files."""

from __future__ import annotations

import errno
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..codec.encode.options import PATCHES, TARGETS, EncodeOptions
from ..codec.options import ROUNDS
from . import jobs, options
from .failures import BAD_IMAGE, NO_OUTPUT, about
from .files import STREAM, check_output, is_data, read_input, write_output
from .progress import progress
from .remote import Place
from .work import Job, Outcome

if TYPE_CHECKING:
    from ..codec.codec import FileCoder
    from ..codec.encode.rate_control import Coded
    from ..codec.image.picture import Picture


_UNITS = {"": 1, "k": 1000, "m": 1000**2, "ki": 1024, "mi": 1024**2}


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Callback of --target-size: parses a number of bytes, as 50000, 50k, 1.5M, 48Ki. Raises BadParameter."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)(k|m|ki|mi|)b?", value.strip().lower())
    size = float(match[1]) * _UNITS[match[2]] if match else 0
    if not 1 <= size < math.inf:
        raise click.BadParameter(f"{value!r} is not a size, such as 50000, 50k or 1.5M", ctx, param)
    return int(size)


@click.command()
@options.inputs
@options.quality(help="0 is the smallest file, 100 the best picture.")
@click.option("--target-size", callback=_size, metavar="BYTES", help="The best file of at most this size: 50k, 1.5M.")
@click.option(
    "--target-bpp",
    type=click.FloatRange(0, 1e9, min_open=True),  # far above any file, and below what overflows
    callback=options.finite,
    metavar="BPP",
    help="The best file of at most so many bits per pixel, every byte counted.",
)
@click.option(
    "--target-psnr",
    type=click.FloatRange(0, 100, min_open=True),
    callback=options.finite,
    metavar="DB",
    help="The smallest file with at least this PSNR.",
)
@click.option(
    "-e",
    "--effort",
    type=click.IntRange(1, len(ROUNDS)),
    metavar="1..9",
    default=EncodeOptions.effort,
    show_default=True,
    help="1 is the fastest. Higher levels take longer and need fewer bits for an equally good picture; with the same "
    "-q the picture gets better, and the file may grow. Decoding takes as long at all levels.",
)
@click.option(
    "--patches",
    type=click.Choice(PATCHES),
    default=EncodeOptions.patches,
    show_default=True,
    help="Code text and drawings without loss, or below quality 60 in fewer colours: where that is better, nowhere, or "
    "everything without loss.",
)
@click.option("--lossless", is_flag=True, help="Code everything without loss: --patches all.")
@click.option("--strip", is_flag=True, help="Leave out ICC profile, EXIF and XMP.")
@click.option("--exact", is_flag=True, help="Keep the colours of fully transparent pixels.")
@options.running
def encode(
    sources: tuple[Place, ...],
    folder: Place | None,
    recursive: bool,
    engine: str,
    processes: int | None,
    skip_existing: bool,
    device: str,
    threads: int | None,
    quiet: bool,
    **asked: Any,
) -> None:
    """Encode the image IN to the file OUT (.cae), or many images and folders of images into the folder of --out.

    "-" is standard input or output; a URL such as s3://bucket/x.png is what fsspec takes it for."""
    source_of = click.get_current_context().get_parameter_source
    given = source_of("quality") != ParameterSource.DEFAULT
    if given + sum(asked[name] is not None for name in TARGETS) > 1:
        raise click.UsageError("give one of --quality, --target-size, --target-bpp and --target-psnr")
    if asked.pop("lossless"):
        if asked["patches"] != "all" and source_of("patches") != ParameterSource.DEFAULT:
            raise click.UsageError(f"--lossless is --patches all, not {asked['patches']}")
        asked["patches"] = "all"
    if asked["patches"] == "all" and (given or any(asked[name] is not None for name in TARGETS)):
        raise click.UsageError("without loss there is no quality and no target")
    from ..codec.image import other_files
    from ..codec.image.picture import SUFFIXES

    chosen = options.choose_engine(engine, processes, threads, device)
    planned = jobs.plan(sources, folder, recursive, SUFFIXES, ".cae", other_files.SUFFIXES)
    work = Encoding(EncodeOptions(device=device, **asked), quiet)
    jobs.run(planned, skip_existing, work, chosen, processes, quiet)


@dataclass(frozen=True)
class Source:
    """A picture to encode, as an Input of `work`. size: bytes of its file."""

    job: Job
    picture: Picture
    size: int
    codec: FileCoder
    share: float


@dataclass(frozen=True)
class Encoding:
    """Encodes files, as `work.Work`. quiet: show no progress; files: how many a process is to encode."""

    options: EncodeOptions
    quiet: bool
    files: int = 1

    def as_one_of(self, files: int) -> Encoding:
        # Quiet, as the progress of tiles would disturb that of files.
        return replace(self, quiet=True, files=files)

    def read(self, job: Job) -> Source:
        """Reads a picture, and loads what encodes it. Raises Failure, CaeError."""
        with about(job.output, NO_OUTPUT):
            check_output(job.output, job.source)
            _check_replaced(job.output)
        with about(job.source, BAD_IMAGE):
            picture, size = _read(job.source, self.options.max_pixels)
        from ..codec.encode.rate_control import prepare
        from ..codec.select import load_encoder

        picture = prepare(picture, self.options)
        codec = load_encoder(picture, self.options, self.files)
        share = 1 if self.options.has_target else codec.share(picture.width, picture.height)
        return Source(job, picture, size, codec, share)

    def code(self, sources: Sequence[Source]) -> list[tuple[Coded, float]]:
        """Encodes pictures, those of equal size together; for each the file and seconds. Raises Failure, CaeError."""
        from ..codec.encode.rate_control import Coded, encode

        start = time.perf_counter()
        if len(sources) == 1:
            (source,) = sources
            with about(source.job.source), progress(self.quiet) as report:
                coded = [encode(source.codec, source.picture, self.options, report)]
        else:
            # The codec of the last picture: after enough of them torch may have been chosen.
            files = sources[-1].codec.encode_pictures([source.picture for source in sources], self.options)
            coded = [Coded(data, self.options.quality, 1) for data in files]
        seconds = (time.perf_counter() - start) / len(sources)
        return [(own, seconds) for own in coded]

    def write(self, job: Job, source: Source, timed: tuple[Coded, float]) -> Outcome:
        """Writes the file. Raises Failure."""
        (coded, seconds), picture = timed, source.picture
        with about(job.output, NO_OUTPUT):
            write_output(job.output, coded.data)
        size, pixels = len(coded.data), picture.width * picture.height
        line = (
            f"{job.output}: {size:,} bytes (from {source.size:,}), {8 * size / pixels:.3f} bpp, "
            f"{pixels * len(picture.mode) / size:.1f}:1 (8-bit pixels), {seconds:.2f} s, "
            + ("lossless" if self.options.patches == "all" else f"q {coded.quality:.4g}")
        )
        line += f" after {coded.codings} codings" if coded.codings > 1 else ""
        notes = [f"{job.source}: {note}" for note in picture.notes]
        notes += [f"{job.output}: {coded.note}"] if coded.note else []
        notes += [f"{job.output}: larger than {job.source}"] if size > source.size else []
        return Outcome(job, line, tuple(notes), source.size, size, size, pixels)


def _check_replaced(output: Place) -> None:
    """Raises OSError for an output that exists and is no .cae file: a shell's * may have named a second image."""
    from ..bitstream.header import MAGIC

    if isinstance(output, Path) and output.is_file() and not is_data(output):
        with output.open("rb") as file:
            begin = file.read(len(MAGIC))
        if begin not in (b"", MAGIC):
            raise FileExistsError(errno.EEXIST, "is there already and no .cae file", str(output))


def _read(source: Place, max_pixels: int) -> tuple[Picture, int]:
    """Reads a picture; returns it with the size of its file in bytes. Raises ImageError, OSError."""
    from ..codec.image.netpbm import map_pixels
    from ..codec.image.picture import Picture, read_picture

    if isinstance(source, Path) and source != STREAM:
        pixels = map_pixels(source, max_pixels)
        if pixels is not None:
            return Picture(pixels), source.stat().st_size
    original = read_input(source)
    return read_picture(BytesIO(original), max_pixels), len(original)
