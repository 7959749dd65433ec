"""Pictures to .cae files and back: the stages in order, one call each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from numbers import Integral

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..bitstream.container import (
    DEFAULT_TILE,
    LATENT_SIDE,
    Container,
    Header,
    Rectangle,
    Tile,
    is_enough,
    pack,
    read_header,
    tile_grid,
    tile_rectangles,
    unpack,
)
from ..bitstream.errors import (
    CorruptError,
    DecodeMismatchError,
    ImageSizeError,
    InputError,
    LimitError,
    WrongWeightsError,
)
from ..bitstream.limits import DEFAULT_MAX_PIXELS, MAX_PIXELS, MAX_SIDE, SAFE_TILE
from ..bitstream.salvage import Salvage, salvage
from . import refine, windows
from .checkpoint import load_frozen
from .coder import TileCoder
from .config import DEFAULT_EFFORT, ROUNDS
from .damage import Damage
from .device import memory_errors, resolve_device
from .exact import check_sums
from .extras import from_chunks, to_chunks
from .frozen import FrozenModel
from .image import Picture
from .installed import find_weights
from .layers import joined
from .quality import rate_row
from .view import AT_ORIGIN, Region, Write, check_view, needed_tiles, show, tiles_area, whole

Pixels = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]
"""Called with the number of tiles done and of all tiles, after each."""


def _silent(done: int, total: int) -> None:
    """No report of progress."""


class Codec:
    """A model on a device, which codes whole files. Make it by `load_codec`."""

    def __init__(self, model: FrozenModel, fingerprint: bytes, device: str = "cpu") -> None:
        check_sums(device)
        self.model = model.to(device)
        self.fingerprint = fingerprint
        self.coder = TileCoder(self.model)

    def encode(
        self, picture: Picture, quality: float, *, effort: int = DEFAULT_EFFORT, progress: Progress = _silent
    ) -> bytes:
        """A whole file. effort: 1 (fastest) to 9 (smallest file for what it shows).

        Raises InputError for a quality outside 0..100 or an effort outside 1..9, ImageSizeError, MemoryLimitError.
        """
        if not isinstance(effort, Integral) or not 1 <= effort <= len(ROUNDS):
            raise InputError(f"the effort is a whole number from 1 to {len(ROUNDS)}, not {effort!r}")
        row = rate_row(quality)
        if max(picture.width, picture.height) > MAX_SIDE or picture.width * picture.height > MAX_PIXELS:
            raise ImageSizeError(f"{picture.width} x {picture.height} pixels are more than the format allows")
        header = Header(picture.width, picture.height, picture.grey, row, self.fingerprint, DEFAULT_TILE)
        with memory_errors():
            tiles = self._encode_tiles(picture.pixels, header, effort, progress)
            if not all(map(is_enough, (len(tile.payload) for tile in tiles), tile_rectangles(header))):
                # So flat that a decoder would suspect a bomb: tiles of this size are always allowed.
                header = replace(header, tile=SAFE_TILE)
                tiles = self._encode_tiles(picture.pixels, header, effort, progress)
            return pack(Container(header, to_chunks(picture), tiles))

    def decode(
        self,
        data: bytes,
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        allow_damaged: bool = False,
        region: tuple[int, int, int, int] | None = None,
        scale: int = 1,
        write: Write | None = None,
        progress: Progress = _silent,
    ) -> Picture:
        """The picture in a file.

        max_pixels: an image with more of them is refused before anything is allocated for it. allow_damaged: tiles
        that are damaged become grey, and metadata or an alpha plane that is damaged is left out; `notes` names them.
        region: x, y, width and height in pixels of the part that is wanted; only the tiles that it depends on are
        decoded, and its pixels are those of the whole. scale: 1, 2, 4, 8 or 16 pixels to a side become one, their
        mean. write: takes the pixels as they are decoded, in rows from the top, and those of the picture are blank.
        Raises BitstreamError (LimitError for too many pixels), WeightsError, MemoryLimitError, or InputError for a
        region that is not within the image.
        """
        header = read_header(data)
        if header.width * header.height > max_pixels:
            raise LimitError(f"{header.width} x {header.height} pixels, at most {max_pixels:,} are accepted")
        part = Region(*region) if region else whole(header)
        check_view(header, part, scale)
        saved = salvage(data) if allow_damaged else Salvage(unpack(data), frozenset(), 0)
        self.check_weights(header)
        damage = Damage(header, saved.damaged_tiles)
        tiles = needed_tiles(header, part, self.model.config.halo)
        area = tiles_area(header, *tiles)
        with memory_errors():
            bands = self._decode_bands(saved.container, tiles, damage if allow_damaged else None, progress)
            parts = self._synthesise(header, bands, area, damage)
            pixels = show(parts, area, part, scale, write)
            extras = from_chunks(saved.container.chunks, header, saved.damaged_chunks if allow_damaged else None)
            alpha = extras.alpha if extras.alpha is None else show([extras.alpha], AT_ORIGIN, part, scale)
        notes = (*damage.notes(), *extras.notes)
        return Picture(pixels, alpha, extras.icc, extras.exif, extras.xmp, notes)

    def decode_latents(self, container: Container) -> Tensor:
        """The exact part of decoding: int32 [1, h, w, M] in sixteenths of a step, the same on every machine."""
        self.check_weights(container.header)
        rows, columns = tile_grid(container.header)
        bands = list(self._decode_bands(container, (range(rows), range(columns)), None, _silent))
        return joined(bands, dim=1)

    def check_weights(self, header: Header) -> None:
        """Raises WrongWeightsError for a file that was made with other weights."""
        if header.fingerprint != self.fingerprint:
            raise WrongWeightsError(
                f"the file needs weights {header.fingerprint.hex()}, these are {self.fingerprint.hex()}"
            )

    def _encode_tiles(self, pixels: Pixels, header: Header, effort: int, progress: Progress) -> tuple[Tile, ...]:
        tiles: list[Tile] = []
        rectangles = tile_rectangles(header)
        for rectangle in rectangles:
            tiles.append(refine.encode(self.coder, pixels, header, rectangle, effort))
            progress(len(tiles), len(rectangles))
        return tuple(tiles)

    def _decode_bands(
        self, container: Container, tiles: tuple[range, range], damage: Damage | None, progress: Progress
    ) -> Iterator[Tensor]:
        """The latents of one row of tiles after the other: int32 [1, h, w, M], in sixteenths of a step.

        tiles: rows and columns of those that are wanted. damage: tiles to be left 0, to which those are added
        that do not decode; with None they raise.
        """
        header = container.header
        rectangles = tile_rectangles(header)
        per_row = tile_grid(header)[1]
        rows, columns = tiles
        tried = 0
        for row in rows:
            indices = [per_row * row + column for column in columns]
            decoded: list[Tensor] = []
            for index in indices:
                _, _, height, width = rectangles[index]
                if damage is None or index not in damage:
                    try:
                        decoded.append(self.coder.decode(container.tiles[index], height, width, header.row))
                    except (CorruptError, DecodeMismatchError):
                        if damage is None:
                            raise
                        damage.add(index)
                        if damage.is_total():
                            raise
                if damage is not None and index in damage:  # before or by now
                    size = (1, height, width, self.model.config.latent_channels)
                    decoded.append(torch.zeros(size, dtype=torch.int32, device=self.coder.device))
                tried += 1
                progress(tried, len(rows) * len(columns))
            yield joined(decoded, dim=2)

    def _synthesise(self, header: Header, bands: Iterator[Tensor], area: Rectangle, damage: Damage) -> Iterator[Pixels]:
        """The pixels of an area of the padded image, in rows from the top: uint8 [h, W, 3], or [h, W] for grey."""
        top, left = LATENT_SIDE * area.top, LATENT_SIDE * area.left
        for part in windows.synthesise(self.model, bands, header.row, (area.top, area.left), damage.covers):
            damage.blank(part, top, left)
            yield _to_grey(part) if header.grey else part
            top += len(part)


def load_codec(device: str = "auto", fingerprint: bytes | None = None) -> Codec:
    """An installed model on a device, loaded once for each: the one with this fingerprint, or the one for new files if
    None. Raises as `resolve_device`, InputError, WeightsError."""
    return _load_codec(resolve_device(device), fingerprint or find_weights().fingerprint)


@functools.cache
def _load_codec(device: str, fingerprint: bytes) -> Codec:
    return Codec(*load_frozen(fingerprint=fingerprint), device)


def _to_grey(pixels: Pixels) -> Pixels:
    """The mean of the three channels, each of which is an estimate of the same value."""
    # + 1 rounds a third to the nearest integer.
    grey: Pixels = ((pixels.sum(axis=2, dtype=np.uint16) + 1) // 3).astype(np.uint8)
    return grey
