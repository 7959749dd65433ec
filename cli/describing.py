"""Files to vectors, for `cae features` and `cae similar`: read, coded in memory where they are images, pooled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import TYPE_CHECKING

import click

from . import jobs, options
from .failures import BAD_CAE_FILE, BAD_IMAGE, about
from .files import STREAM, read_input
from .progress import progress
from .remote import Place
from .work import Job, Outcome

if TYPE_CHECKING:
    from ..codec.codec import FileCoder
    from ..codec.encode.options import EncodeOptions
    from ..codec.image.picture import Picture
    from ..codec.model.arrays import Floats

QUALITY = 80
"""The quality at which images are encoded for their latents."""


@dataclass(frozen=True)
class Source:
    """What is to be described, as an Input of `work`: a .cae file whose latents are taken as they are, or a picture
    that is encoded first. size: bytes of the file that was read."""

    job: Job
    size: int
    content: bytes | Picture
    codec: FileCoder
    share: float


@dataclass(frozen=True)
class Described(Outcome):
    """A good outcome, with the vector of a picture."""

    vector: Floats = field(kw_only=True)


def descriptor(latents: Floats, codec: FileCoder) -> Floats:
    """A vector for everything (`codec.features`)."""
    from ..codec.features import descriptor

    return descriptor(latents)


def signature(latents: Floats, codec: FileCoder) -> Floats:
    """A vector to find near duplicates by (`codec.features`)."""
    from ..codec.features import signature

    return signature(latents, codec.coder.networks.colour_channels)


def describe(
    sources: Sequence[Place], recursive: bool, work: Describing, processes: int | None, threads: int | None
) -> tuple[list[Described], list[Outcome]]:
    """Describes all files that a command's inputs stand for, each once, and prints errors as they come: the good
    outcomes and the failed ones, in the order of the files. Raises UsageError where there are no files."""
    from ..codec.image import other_files
    from ..codec.image.picture import SUFFIXES

    found, left_out = jobs.files(sources, recursive, SUFFIXES | {".cae"}, other_files.SUFFIXES)
    jobs.tell_left_out(left_out, work.quiet)
    todo = [Job(source, STREAM) for source in dict.fromkeys(source for source, _ in found)]
    engine = options.choose_engine("local", processes, threads, work.device)
    ended = {outcome.job.source: outcome for outcome in jobs.do_all(todo, work, engine, processes, work.quiet)}
    outcomes = [ended[job.source] for job in todo]
    done = [outcome for outcome in outcomes if isinstance(outcome, Described)]
    return done, [outcome for outcome in outcomes if outcome.error]


def end(done: Sequence[Described], failed: Sequence[Outcome]) -> None:
    """Ends the command: with exit code 1 if some of several files failed, with its own if it was the only one."""
    code = 1 if done or len(failed) > 1 else failed[0].code
    click.get_current_context().exit(code if failed else 0)


@dataclass(frozen=True)
class Describing:
    """Makes vectors of files, as `work.Work`. vector: what is made of latents; quiet: show no progress; files: how many
    a process is to do."""

    vector: Callable[[Floats, FileCoder], Floats]
    device: str
    max_pixels: int
    quiet: bool
    files: int = 1

    def as_one_of(self, files: int) -> Describing:
        return replace(self, quiet=True, files=files)

    def read(self, job: Job) -> Source:
        """Reads a file, and loads what codes it. Raises Failure, CaeError."""
        from ..bitstream.header import MAGIC
        from ..codec.image.picture import read_picture
        from ..codec.select import load_encoder

        with about(job.source, BAD_IMAGE):
            data = read_input(job.source)
        if data.startswith(MAGIC):
            return self._read_cae(job, data)
        with about(job.source, BAD_IMAGE):
            picture = self._prepared(read_picture(BytesIO(data), self.max_pixels))
        codec = load_encoder(picture, self._options, self.files)
        return Source(job, len(data), picture, codec, codec.share(picture.width, picture.height))

    def _read_cae(self, job: Job, data: bytes) -> Source:
        """A .cae file as a Source. Where a part of it is in patches, which latents do not see, or its latents are those
        of other weights than the first of this installation, it is decoded and taken as an image."""
        from ..bitstream.container import unpack
        from ..codec.model.weights import find_weights
        from ..codec.select import load_decoder, load_encoder

        with about(job.source, BAD_CAE_FILE):
            file = unpack(data)
        header = file.header
        with about(job.source):
            codec = load_decoder(self.device, header, self.files)
            share = codec.share(header.width, header.height)
            if header.fingerprint == find_weights().fingerprint and not file.has_patches:
                return Source(job, len(data), data, codec, share)
            picture = self._prepared(codec.decode(data, max_pixels=self.max_pixels))
            return Source(job, len(data), picture, load_encoder(picture, self._options, self.files), share)

    def code(self, sources: Sequence[Source]) -> list[Floats]:
        """The latents of each, those of equal size and quality together. Raises Failure, CaeError."""
        # The codec of the last: after enough of them torch may have been chosen.
        codec = sources[-1].codec
        pictures = [source.content for source in sources if not isinstance(source.content, bytes)]
        alone = sources[0].job.source if len(sources) == 1 else None
        with nullcontext() if alone is None else about(alone), progress(self.quiet) as report:
            coded = iter(codec.encode_pictures(pictures, self._options, report))
            files = [source.content if isinstance(source.content, bytes) else next(coded) for source in sources]
            return codec.latents_many(files, max_pixels=self.max_pixels)

    def write(self, job: Job, source: Source, latents: Floats) -> Outcome:
        """The vector; nothing is written."""
        return Described(job, bytes_in=source.size, vector=self.vector(latents, source.codec))

    def _prepared(self, picture: Picture) -> Picture:
        """The pixels of a picture alone."""
        from ..codec.encode.rate_control import prepare

        return replace(prepare(picture, self._options), alpha=None)

    @property
    def _options(self) -> EncodeOptions:
        """Without patches, and as fast as can be."""
        from ..codec.encode.options import EncodeOptions

        return EncodeOptions(
            QUALITY, effort=1, patches="off", strip=True, device=self.device, max_pixels=self.max_pixels
        )
