"""`cae features`: latents of files as data for other programs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import describing, jobs, options
from .describing import Described, Describing
from .extras import check_extra
from .failures import NO_OUTPUT, about, one_line
from .files import STREAM, check_output, utf8, write_output
from .remote import Place
from .work import Job, Outcome

if TYPE_CHECKING:
    from ..codec.model.arrays import Floats

FORMATS = (".npz", ".parquet")


@click.command()
@options.pictures
@options.output(
    "output", options.FILE, "File for the vectors, .npz or .parquet; with --full the folder for the latents.", "OUT"
)
@click.option(
    "--full", is_flag=True, help="Write all latents, of each picture into a .npz file of its own in the folder OUT."
)
@options.describing
def features(
    sources: tuple[Place, ...],
    recursive: bool,
    output: Path,
    full: bool,
    processes: int | None,
    device: str,
    threads: int | None,
    max_pixels: int,
    quiet: bool,
) -> None:
    """Write a vector for each of the .cae files, images and folders of them IN: of each channel of the latents mean and
    mean magnitude, over the picture and its quarters.

    Images are encoded in memory first, and so are .cae files in which parts are coded without loss or in fewer colours,
    which latents do not see. A file that cannot be read is named and left out."""
    if full:
        _store(
            sources, recursive, output, Storing(describing.descriptor, device, max_pixels, quiet), processes, threads
        )
    options.check_suffix(output, *FORMATS)
    parquet = output.suffix.lower() == ".parquet"
    if parquet:
        check_extra(".parquet", "features")
    with about(output, NO_OUTPUT):
        check_output(output, STREAM)
    begin = time.perf_counter()
    work = Describing(describing.descriptor, device, max_pixels, quiet)
    done, failed = describing.describe(sources, recursive, work, processes, threads)
    if done:
        content = _file(done, parquet)
        with about(output, NO_OUTPUT):
            write_output(output, content)
        if not quiet:
            line = f"{output}: {len(done)} vectors, {len(content):,} bytes, {time.perf_counter() - begin:.1f} s"
            click.echo(one_line(line) + (f", {len(failed)} FAILED" if failed else ""))
    describing.end(done, failed)


def _store(
    sources: Sequence[Place],
    recursive: bool,
    folder: Path,
    work: Storing,
    processes: int | None,
    threads: int | None,
) -> None:
    """Writes the latents of all files, and ends the command."""
    from ..codec.image import other_files
    from ..codec.image.picture import SUFFIXES

    if folder.suffix.lower() in FORMATS:
        raise click.UsageError(f"{folder}: with --full the output is a folder")
    planned = jobs.plan(sources, folder, recursive, SUFFIXES | {".cae"}, ".npz", other_files.SUFFIXES)
    engine = options.choose_engine("local", processes, threads, work.device)
    jobs.run(planned, False, work, engine, processes, work.quiet)


@dataclass(frozen=True)
class Storing(Describing):
    """Writes the latents of each file, as `work.Work`."""

    def read(self, job: Job) -> describing.Source:
        """Reads a file, and loads what codes it. Raises Failure, CaeError."""
        with about(job.output, NO_OUTPUT):
            check_output(job.output, job.source)
        return super().read(job)

    def write(self, job: Job, source: describing.Source, latents: Floats) -> Outcome:
        """Writes the file. Raises Failure."""
        import numpy as np

        file = BytesIO()
        np.savez_compressed(file, latents=latents)
        with about(job.output, NO_OUTPUT):
            write_output(job.output, file.getvalue())
        shape = "x".join(map(str, latents.shape))
        return Outcome(job, f"{job.output}: {shape}, {file.tell():,} bytes", (), source.size, file.tell())


def _file(done: Sequence[Described], parquet: bool) -> bytes:
    """The content of a file with the vectors."""
    import numpy as np

    names = [utf8(str(outcome.job.source)).decode() for outcome in done]
    vectors = np.array([outcome.vector for outcome in done])
    file = BytesIO()
    if parquet:
        import pyarrow
        import pyarrow.parquet

        column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), vectors.shape[1])
        pyarrow.parquet.write_table(pyarrow.table({"name": names, "features": column}), file)
    else:
        np.savez(file, names=np.array(names), features=vectors)
    return file.getvalue()
