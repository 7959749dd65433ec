"""Files of which parts are without loss: all of it, or where a picture is better that way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...bitstream.container import PATCHES, Chunk, Container, is_enough, pack
from ...bitstream.header import Header, all_latents, latent_size, tile_rectangles
from ...bitstream.limits import MAX_PIXELS
from ...bitstream.patches import pack_patches
from ..decode.decoder import Decoder
from ..model.arrays import Pixels
from ..tile.bits import tile_bits
from ..tile.coder import TileCoder
from . import refine
from .choice import Choice, all_error_bits, cell_costs, choose
from .patches import FINAL, cells_of, compress_cells, patched
from .suspects import CELL, drawn_cells, suspects


def lossless(coder: TileCoder, pixels: Pixels, header: Header) -> Container:
    """A file of nothing but patches."""
    cells = np.ones((-(-header.height // CELL), -(-header.width // CELL)), bool)
    return with_patches(coder, pixels, header, Choice(cells, pixels, True), 1)


def best(coder: TileCoder, pixels: Pixels, plain: Container, effort: int) -> Container:
    """A file without patches, and without other chunks, or one with those that are worth it: by bits and what errors
    are worth in bits. pixels: uint8 [H, W, 3] or [H, W]."""
    if not suspects(pixels).any():
        return plain
    drawn = drawn_cells(pixels)
    header = plain.header
    shown = _shown(coder, plain)
    costs = cell_costs(coder.networks, header.rate_index, pixels, shown, _bits(coder, plain), drawn)
    choice = choose(coder.networks, header.rate_index, pixels, costs, drawn)
    if choice is None:
        return plain
    mixed = with_patches(coder, pixels, header, choice, effort)

    def cost(file: Container, shown: Pixels) -> float:
        """In bits."""
        return 8 * len(pack(file)) + all_error_bits(coder.networks, header.rate_index, shown, pixels, drawn)

    return min((plain, shown), (mixed, _shown(coder, mixed)), key=lambda file: cost(*file))[0]


def with_patches(coder: TileCoder, pixels: Pixels, header: Header, choice: Choice, effort: int) -> Container:
    """A file with some cells in patches, the others coded by the networks."""
    own = patched(pixels, header, choice.cells)
    tiles = []
    for rectangle in tile_rectangles(header):
        (tile,) = refine.encode(coder, [own.pixels], header, rectangle, effort, own)
        if not is_enough(len(tile.payload), rectangle, own.skipped[*cells_of(rectangle)]):
            # So little is left of it that a decoder would suspect a bomb: the networks code what is filled as well.
            own.skipped[*cells_of(rectangle)] = False
            (tile,) = refine.encode(coder, [own.pixels], header, rectangle, effort, own)
        tiles.append(tile)
    streams = compress_cells(choice.shown, choice.cells, *FINAL)
    return Container(header, (Chunk(PATCHES, pack_patches(own.skipped, streams, exact=choice.exact)),), tuple(tiles))


def _shown(coder: TileCoder, file: Container) -> Pixels:
    """What a decoder shows."""
    return Decoder(coder, file.header.fingerprint).decode(pack(file), max_pixels=MAX_PIXELS).pixels


def _bits(coder: TileCoder, plain: Container) -> npt.NDArray[np.int64]:
    """What the networks' symbols take at each latent position of the padded image, in 1/4096 bit."""
    header = plain.header
    bits = np.empty(latent_size(header), np.int64)
    whole = all_latents(header)
    for tile, rectangle in zip(plain.tiles, tile_rectangles(header), strict=True):
        size = rectangle.height, rectangle.width
        bits[*rectangle.within(whole)] = tile_bits(coder, tile, *size, header.rate_index, None)[1]
    return bits
