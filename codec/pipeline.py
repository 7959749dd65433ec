"""Pictures to .cae files and back: the stages in order, one call each."""

from __future__ import annotations

import functools
from dataclasses import replace
from numbers import Integral

from ..bitstream.container import DEFAULT_TILE, Container, Header, Tile, is_enough, pack, tile_rectangles
from ..bitstream.errors import ImageSizeError, InputError
from ..bitstream.limits import MAX_PIXELS, MAX_SIDE, SAFE_TILE
from . import refine
from .checkpoint import load_frozen
from .coder import TileCoder
from .config import DEFAULT_EFFORT, ROUNDS
from .decoder import Decoder, Progress, silent
from .device import resolve_device
from .exact import check_sums
from .extras import to_chunks
from .frozen import FrozenModel
from .image import Picture
from .installed import find_weights
from .memory import memory_errors
from .quality import rate_row
from .windows import Pixels


class Codec(Decoder):
    """A model on a device, which codes whole files. Make it by `load_codec`."""

    def __init__(self, model: FrozenModel, fingerprint: bytes, device: str = "cpu") -> None:
        check_sums(device)
        self.model = model.to(device)
        self.coder = TileCoder(self.model)
        super().__init__(self.coder, fingerprint)

    def encode(
        self, picture: Picture, quality: float, *, effort: int = DEFAULT_EFFORT, progress: Progress = silent
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

    def _encode_tiles(self, pixels: Pixels, header: Header, effort: int, progress: Progress) -> tuple[Tile, ...]:
        tiles: list[Tile] = []
        rectangles = tile_rectangles(header)
        for rectangle in rectangles:
            tiles.append(refine.encode(self.coder, pixels, header, rectangle, effort))
            progress(len(tiles), len(rectangles))
        return tuple(tiles)


def load_codec(device: str = "auto", fingerprint: bytes | None = None) -> Codec:
    """An installed model on a device, loaded once for each: the one with this fingerprint, or the one for new files if
    None. Raises as `resolve_device`, InputError, WeightsError."""
    return _load_codec(resolve_device(device), fingerprint or find_weights().fingerprint)


@functools.cache
def _load_codec(device: str, fingerprint: bytes) -> Codec:
    return Codec(*load_frozen(fingerprint=fingerprint), device)
