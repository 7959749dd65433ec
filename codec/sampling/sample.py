"""Pictures of a file whose last steps are drawn, of no file at all, and of latents between those of two files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np
import numpy.typing as npt

from ...bitstream.container import Tile, unpack
from ...bitstream.entropy import Decoder as StepDecoder
from ...bitstream.errors import InputError
from ...bitstream.header import DEFAULT_TILE, Header, tile_rectangles
from ...bitstream.limits import DEFAULT_MAX_PIXELS
from ..codec import FileCoder
from ..decode.decoder import Decoder, check_size
from ..decode.synthesis_windows import whole_image
from ..image.picture import Picture
from ..machine.memory import memory_errors
from ..model.arrays import Latents, Symbols
from ..model.rate import rate_index_of
from ..tile.coder import TileCoder
from .draws import Draws


def redrawn(
    codec: FileCoder, data: bytes, kept: int, seed: int, temperature: float, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Picture:
    """The picture in a file whose hyper-latents and first `kept` steps, 0..3, are those of the file, while the others
    are drawn from the tables by which they are coded, tile by tile. Patches, alpha and metadata stay.

    seed, temperature: as in `Draws`. Raises InputError for those, and what `Decoder.decode` raises.
    """
    sampler = _Sampler(codec.coder, Draws(codec.coder.tables, seed, temperature), 1 + kept)
    return Decoder(sampler, codec.fingerprint).decode(data, max_pixels=max_pixels)


def made_up(
    codec: FileCoder,
    width: int,
    height: int,
    quality: float,
    seed: int,
    temperature: float,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Picture:
    """A colour picture of this size, all of whose numbers are drawn: what a file of random bits would show.

    seed, temperature: as in `Draws`. Raises InputError for those and for the quality, LimitError for too many pixels,
    MemoryLimitError.
    """
    check_size(width, height, max_pixels)
    header = Header(width, height, False, rate_index_of(quality), codec.fingerprint, DEFAULT_TILE)
    sampler = _Sampler(codec.coder, Draws(codec.coder.tables, seed, temperature), 0)
    with memory_errors():
        return _shown(codec.coder, header, _bands(sampler, header))


def between(
    codec: FileCoder, first: bytes, second: bytes, frames: int, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Iterator[Picture]:
    """Pictures, at least 2, whose latents go from those of one file to those of another in equal parts; without alpha
    and metadata. The first and the last are those of the files.

    Raises InputError for files that differ in size, quality, weights, or in being grey, and for those with patches,
    which have no latents; and what `Decoder.decode_latents` raises.
    """
    files = unpack(first), unpack(second)
    header, other = (file.header for file in files)
    check_size(header.width, header.height, max_pixels)
    for one, two, what in (
        (f"{header.width}x{header.height}", f"{other.width}x{other.height}", "sizes"),
        (header.rate_index, other.rate_index, "qualities (rows)"),
        (header.grey, other.grey, "kinds (grey)"),
        (header.fingerprint.hex(), other.fingerprint.hex(), "weights"),
    ):
        if one != two:
            raise InputError(f"the pictures have different {what}: {one} and {two}")
    if any(file.has_patches for file in files):
        raise InputError("a picture has parts without loss, between which there is nothing: encode it with patches off")
    with memory_errors():
        start, end = (codec.decode_latents(file).astype(np.int64) for file in files)
        for index in range(frames):
            parts = frames - 1
            # Rounded to the nearest, halves up.
            mixed = (2 * ((parts - index) * start + index * end) + parts) // (2 * parts)
            yield _shown(codec.coder, header, [mixed.astype(np.int32)])


class _Sampler:
    """A `synthesis_windows.TileDecoder` that reads the first steps of a tile, hyper-latents among them, and draws the
    others."""

    def __init__(self, coder: TileCoder, draws: Draws, kept: int) -> None:
        self._coder, self._draws, self._kept = coder, draws, kept
        self.halo, self.channels = coder.halo, coder.channels
        self.pixels, self.preview = coder.pixels, coder.preview

    def latents(
        self, tile: Tile, height: int, width: int, rate_index: int, skipped: npt.NDArray[np.bool_] | None = None
    ) -> Latents:
        """The latents of a tile, int32 [height, width, M]. Its checksum, of other latents, is not looked at."""
        coder = self._coder
        reader = coder.networks.step_decoder(coder.tables, tile.payload)
        own: Latents = coder.run([_Steps(reader, self._draws, self._kept)], height, width, rate_index, skipped=skipped)[
            0
        ]
        return own


class _Steps:
    """An entropy decoder that reads some steps, and draws those that follow."""

    def __init__(self, reader: StepDecoder, draws: Draws, kept: int) -> None:
        self._reader, self._draws, self._left = reader, draws, kept

    def decode(self, rows: npt.NDArray[np.uint8]) -> Symbols:
        """The symbols of the next step, int32 [n], by the rows of their tables, uint8 [n]."""
        self._left -= 1
        return self._reader.decode(rows) if self._left >= 0 else self._draws.symbols(rows)

    def finish(self) -> None:
        """Nothing: what is left of the payload is not read."""


def _bands(sampler: _Sampler, header: Header) -> Iterator[Latents]:
    """The drawn latents of one row of tiles after the other."""
    nothing = Tile(b"", 0)
    for _, row in groupby(tile_rectangles(header), lambda rectangle: rectangle.top):
        tiles = [sampler.latents(nothing, tile.height, tile.width, header.rate_index) for tile in row]
        yield np.concatenate(tiles, axis=1)


def _shown(coder: TileCoder, header: Header, bands: Iterable[Latents]) -> Picture:
    """The picture of the latents of a whole image, in rows from the top."""
    size = header.height, header.width
    return Picture(whole_image(coder, bands, header.rate_index, *size, grey=header.grey))
