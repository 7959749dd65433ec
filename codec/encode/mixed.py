"""Files of which parts are without loss: all of it, or where a picture is better that way."""

from __future__ import annotations

from operator import itemgetter

import numpy as np
import numpy.typing as npt

from ...bitstream.container import PATCHES, Chunk, Container, is_enough, pack
from ...bitstream.header import Header, all_latents, latent_size, tile_rectangles
from ...bitstream.limits import MAX_PIXELS
from ...bitstream.patches import pack_patches
from ..decode.decoder import Decoder
from ..model.arrays import Pixels
from ..model.config import PATCH
from ..tile.bits import tile_bits
from ..tile.coder import TileCoder
from . import refine
from .choice import Choice, all_error_bits, cell_costs, choose, picture_excess, with_more
from .patches import FINAL, cells_of, compress_cells, patched
from .suspects import CELL, Mask, drawn_cells, fine_colours, suspects

ROUNDS = 3
"""Times that cells are chosen at most: each can leave blocks beside patches beyond their bound."""


def lossless(coder: TileCoder, pixels: Pixels, header: Header) -> Container:
    """A file of nothing but patches."""
    cells = np.ones((-(-header.height // CELL), -(-header.width // CELL)), bool)
    return with_patches(coder, pixels, header, Choice(cells, pixels, 0), 1)


def best(coder: TileCoder, pixels: Pixels, plain: Container, effort: int, *, is_bounded: bool) -> Container:
    """A file without patches, and without other chunks, or one with those that are worth it: by bits and what errors
    are worth in bits. Blocks beyond their bound, which the networks could not code better, go into patches as well.
    pixels: uint8 [H, W, 3] or [H, W]. is_bounded: whether the file has none of those, as far as is known."""
    networks, header = coder.networks, plain.header
    rate_index = header.rate_index
    fine = fine_colours(pixels, float(networks.rate_weight[rate_index]))
    if is_bounded and not suspects(pixels).any() and not fine.any():
        return plain
    drawn = drawn_cells(pixels) | fine

    def considered(file: Container) -> tuple[tuple[bool, float], Container, Pixels, Mask]:
        """Whether it has blocks beyond their bound and its cost in bits, the file, what a decoder shows of it, and the
        cells with such blocks."""
        shown = _shown(coder, file)
        over = _cells_with(picture_excess(networks, rate_index, pixels, shown) > 1)
        cost = 8 * len(pack(file)) + all_error_bits(networks, rate_index, shown, pixels, drawn)
        return (bool(over.any()), cost), file, shown, over

    found = [considered(plain)]
    _, _, shown, over = found[0]
    costs = cell_costs(networks, rate_index, pixels, shown, _bits(coder, plain), drawn)
    choice = choose(networks, rate_index, pixels, costs, drawn) or Choice(over, pixels, 0)
    while choice.cells.any() and len(found) <= ROUNDS:
        found.append(considered(with_patches(coder, pixels, header, choice, effort)))
        over = found[-1][3]
        if not over.any():
            break
        choice = with_more(networks, rate_index, pixels, choice, over)
    return min(found, key=itemgetter(0))[1]


def _cells_with(blocks: Mask) -> Mask:
    """The cells, bool [h, w], that have any of some blocks of 16x16 pixels."""
    per_cell = CELL // PATCH
    height, width = blocks.shape
    padded = np.pad(blocks, ((0, -height % per_cell), (0, -width % per_cell)))
    cells = padded.reshape(padded.shape[0] // per_cell, per_cell, padded.shape[1] // per_cell, per_cell)
    return np.asarray(cells.any(axis=(1, 3)))


def with_patches(coder: TileCoder, pixels: Pixels, header: Header, choice: Choice, effort: int) -> Container:
    """A file with some cells in patches, the others coded by the networks."""
    own = patched(pixels, header, choice.cells)
    tiles = []
    for rectangle in tile_rectangles(header):
        ((tile, _),) = refine.encode(coder, [own.pixels], header, rectangle, effort, own)
        if not is_enough(len(tile.payload), rectangle, own.skipped[*cells_of(rectangle)]):
            # So little is left of it that a decoder would suspect a bomb: the networks code what is filled as well.
            own.skipped[*cells_of(rectangle)] = False
            ((tile, _),) = refine.encode(coder, [own.pixels], header, rectangle, effort, own)
        tiles.append(tile)
    streams = compress_cells(choice.shown, choice.cells, *FINAL)
    return Container(
        header, (Chunk(PATCHES, pack_patches(own.skipped, streams, exact=not choice.radius)),), tuple(tiles)
    )


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
