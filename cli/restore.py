"""`cae restore`: pictures without their noise, traces of compression and missing pixels."""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..codec.encode.options import EncodeOptions
from . import jobs, options
from .failures import BAD_IMAGE, NO_OUTPUT, about
from .files import STREAM, check_output, is_data, read_input, write_output
from .remote import Place
from .work import Job, Outcome

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..codec.image.picture import Picture
    from ..codec.model.arrays import Pixels
    from ..codec.restore.restorer import Restorer
    from ..codec.restore.settings import Found, RestoreOptions

CAE = "cae"
"""The format, as it is written in --format, that is no image file."""


def _noise(ctx: click.Context, param: click.Parameter, value: str) -> float | None:
    """Callback of --noise: a number, or None for auto. Raises BadParameter."""
    if value == "auto":
        return None
    try:
        return float(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is neither auto nor a number from 0 to 50", ctx, param) from error


@click.command()
@options.inputs
@click.option(
    "--noise",
    callback=_noise,
    metavar="auto|0..50",
    default="auto",
    show_default=True,
    help="Standard deviation of the noise, in levels of 8 bits; auto measures it.",
)
@click.option(
    "--jpeg",
    type=click.Choice(["auto", "off"]),
    default="auto",
    show_default=True,
    help="Undo what JPEG did, as strongly as the input's own tables say; off leaves it.",
)
@click.option("--mask", type=options.FILE, metavar="FILE", help="An image, as large as IN: white pixels are made anew.")
@click.option(
    "--strength",
    type=click.FloatRange(0, 1),
    callback=options.finite,
    metavar="0..1",
    default=1.0,
    show_default=True,
    help="0 leaves the picture as it is; in between is a mixture.",
)
@options.quality(help="Of a .cae output: 0 is the smallest file, 100 the best picture.")
@click.option(
    "--format",
    type=click.Choice([CAE, "png", "webp", "tiff", "jpg"]),
    help="By default what the suffix of OUT says, and png with --out.",
)
@options.running
def restore(
    sources: tuple[Place, ...],
    folder: Place | None,
    recursive: bool,
    engine: str,
    processes: int | None,
    skip_existing: bool,
    threads: int | None,
    device: str,
    max_pixels: int,
    quiet: bool,
    noise: float | None,
    jpeg: str,
    mask: Path | None,
    strength: float,
    quality: float,
    format: str | None,
) -> None:
    """Restore the image IN to OUT, an image or a .cae file, or many images and folders into the folder of --out.

    Noise and the traces of JPEG are taken away, as strong as they are found to be, and missing pixels made anew."""
    from ..codec.image import other_files
    from ..codec.image.picture import SUFFIXES
    from ..codec.restore.settings import RestoreOptions

    chosen = options.choose_engine(engine, processes, threads, device)
    suffix = f".{format or 'png'}"
    planned = jobs.plan(sources, folder, recursive, SUFFIXES, suffix, other_files.SUFFIXES, same_kind=True)
    if mask and len(planned[0]) > 1:
        raise click.UsageError("a mask is one picture's")
    encoding = EncodeOptions(quality, device=device, max_pixels=max_pixels)
    work = Restoring(RestoreOptions(noise, jpeg == "auto", strength), encoding, format, mask)
    jobs.run(planned, skip_existing, work, chosen, processes, quiet)


@dataclass(frozen=True)
class Source:
    """A picture to restore, as an Input of `work`. size: bytes of its file; found: what is to be undone; missing: bool
    [H, W], pixels to be made anew, None for none; format: of the output; share: each picture goes alone."""

    job: Job
    picture: Picture
    size: int
    found: Found
    missing: npt.NDArray[np.bool_] | None
    format: str
    restorer: Restorer
    share: float = 1


@dataclass(frozen=True)
class Restoring:
    """Restores files: a `work.Work`. format: of the outputs, None for what their names say."""

    options: RestoreOptions
    encoding: EncodeOptions
    format: str | None
    mask: Path | None
    files: int = 1

    def as_one_of(self, files: int) -> Restoring:
        return replace(self, files=files)

    def read(self, job: Job) -> Source:
        """Reads a picture and its mask, and looks for what is to be undone. Raises Failure, CaeError."""
        from ..codec.image.picture import read_picture
        from ..codec.image.save import output_format
        from ..codec.restore.settings import mask_of, recognise
        from ..codec.select import load_restorer

        with about(job.output, NO_OUTPUT):
            check_output(job.output, job.source)
            if job.output == STREAM and self.format is None:
                raise click.UsageError("standard output has no suffix: give --format")
            if isinstance(job.output, Path) and job.output.is_file() and not is_data(job.output):
                raise FileExistsError(errno.EEXIST, "is there already", str(job.output))
            is_cae = job.output.suffix.lower() == f".{CAE}"
            format = self.format or (CAE if is_cae else output_format(job.output.name))
        with about(job.source, BAD_IMAGE):
            data = read_input(job.source)
            picture = read_picture(BytesIO(data), self.encoding.max_pixels)
        missing = None
        if self.mask:
            with about(self.mask, BAD_IMAGE):
                mask = read_picture(BytesIO(read_input(self.mask)), self.encoding.max_pixels)
                missing = mask_of(mask, picture.width, picture.height)
        found = recognise(picture.pixels, data, self.options)
        return Source(job, picture, len(data), found, missing, format, load_restorer(self.encoding.device))

    def code(self, sources: Sequence[Source]) -> list[tuple[Pixels, float]]:
        """The restored pixels of each picture, and the seconds that took. Raises Failure, CaeError."""
        from ..codec.restore.settings import restore

        done = []
        for source in sources:
            start = time.perf_counter()
            with about(source.job.source):
                pixels = restore(source.restorer, source.picture.pixels, source.found, self.options, source.missing)
            done.append((pixels, time.perf_counter() - start))
        return done

    def write(self, job: Job, source: Source, done: tuple[Pixels, float]) -> Outcome:
        """Writes the restored picture, as an image or a .cae file. Raises Failure, CaeError."""
        pixels, seconds = done
        picture = replace(source.picture, pixels=pixels)
        with about(job.output, NO_OUTPUT):
            content, notes = self._content(picture, source.format)
            write_output(job.output, content)
        size, count = len(content), picture.width * picture.height
        made = f", {source.missing.mean():.1%} made anew" if source.missing is not None else ""
        line = (
            f"{job.output}: {picture.width}x{picture.height} {picture.mode}, {size:,} bytes (from {source.size:,}), "
            f"found {source.found}{made}, {seconds:.2f} s"
        )
        notes = (*(f"{job.source}: {note}" for note in picture.notes), *(f"{job.output}: {note}" for note in notes))
        return Outcome(job, line, notes, source.size, size, size if source.format == CAE else 0, count)

    def _content(self, picture: Picture, format: str) -> tuple[bytes, tuple[str, ...]]:
        """The bytes of an output, and lines about what of the metadata it does not hold."""
        if format == CAE:
            from ..codec.encode.rate_control import encode, prepare
            from ..codec.select import load_encoder

            picture = prepare(picture, self.encoding)
            return encode(load_encoder(picture, self.encoding, self.files), picture, self.encoding).data, ()
        from ..codec.image.save import save_picture

        file = BytesIO()
        notes = save_picture(picture, file, format)
        return file.getvalue(), notes
