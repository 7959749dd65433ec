"""Which cells are better in patches than coded by the networks, and in how many colours: by bits and error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...bitstream.patches import pixels_in
from ...bitstream.rectangle import Rectangle
from ..backends.interface import Networks
from ..image.picture import to_rgb
from ..model.arrays import Pixels
from ..model.config import PATCH
from ..model.rate import rate_index_of
from ..tile.bits import FRACTION
from .block_bound import Errors, excess
from .cost import error_bits
from .fewer_colours import Colours
from .patches import TRIAL, compress_cells
from .suspects import CELL, Mask, lossless_bits

LOWEST, HIGHEST = -4, 6
"""Cells are tried that cost at least 2^-4, 2^-2 .. 2^6 times as much by the networks as an estimate says that they do
without loss, then twice and half the best of these."""

RADII = (6, 12, 20, 32)
"""How far colours are tried to move that become fewer, in levels of 8 bits. The second is tried with all cells."""

EXACT_FROM = 60
"""The quality from which patches are exact whatever they take."""

NEVER = 1 << 60
"""The cost of what must not be."""

GAIN = 32
"""Fewer colours have to save one part in so many of all bits and errors."""

DRAWN_WEIGHT = 4
"""How many times as much as usual errors count in drawn cells: squared error says too little of letters."""


class Choice(NamedTuple):
    """Cells for patches, and the picture that these show, uint8 like the original's.

    radius: how far colours moved that became fewer, 0 where the picture shown is the original."""

    cells: Mask
    shown: Pixels
    radius: int


def choose(
    networks: Networks, rate_index: int, pixels: Pixels, costs: npt.NDArray[np.int64], drawn: Mask
) -> Choice | None:
    """The cells that are better in patches, None for none.

    costs: what each takes by the networks in 1/256 bit, and what its error is worth, int64 [h, w]. drawn: cells whose
    errors count more. Cells are ranked by their cost against an estimate of what they take without loss; how many of
    them are taken, and in how many colours, is decided by what they all take in a trial, since how much repeats differs
    from picture to picture.
    """
    # 1/256 bit against 1/16.
    bits = 16 * lossless_bits(pixels)
    colours = Colours(pixels) if rate_index < rate_index_of(EXACT_FROM) else None
    known: dict[tuple[int, bytes], int] = {}

    def cells(gain: int) -> Mask:
        chosen: Mask = costs << -LOWEST + 1 > bits << gain - LOWEST + 1
        return chosen

    def reduced(own: Mask, radius: int) -> Pixels:
        return colours.reduced(own, radius) if colours else pixels

    def cost(gain: int, radius: int) -> int:
        """Of all cells."""
        own = cells(gain)
        key = radius, own.tobytes()
        if key not in known:
            shown = reduced(own, radius)
            streams = compress_cells(shown, own, *TRIAL)
            known[key] = 8 * FRACTION * sum(map(len, streams)) + int(costs[~own].sum())
            if radius:
                known[key] += round(FRACTION * all_error_bits(networks, rate_index, shown, pixels, drawn))
                if picture_excess(networks, rate_index, pixels, shown).max() > 1:
                    known[key] = NEVER
        return known[key]

    def search(radius: int) -> int:
        """The gain at which all cells cost least, of all: costs do not fall steadily where photographs repeat or fill
        much of the picture."""
        best = min(range(LOWEST, HIGHEST + 1, 2), key=lambda gain: cost(gain, radius))
        return min((best, best - 1, best + 1), key=lambda gain: cost(gain, radius))

    gain, radius = search(0), 0
    if colours:
        fewer = search(RADII[1])
        least = min(RADII, key=lambda radius: cost(fewer, radius))
        if GAIN * cost(fewer, least) < (GAIN - 1) * cost(gain, radius):
            gain, radius = fewer, least
    if cost(gain, radius) >= int(costs.sum()):
        return None
    own = cells(gain)
    return Choice(own, reduced(own, radius), radius)


def with_more(networks: Networks, rate_index: int, pixels: Pixels, choice: Choice, cells: Mask) -> Choice:
    """A choice with more cells, in fewer colours as before unless that puts a block beyond its bound."""
    more = choice.cells | cells
    if choice.radius:
        shown = Colours(pixels).reduced(more, choice.radius)
        if picture_excess(networks, rate_index, pixels, shown).max() <= 1:
            return Choice(more, shown, choice.radius)
    return Choice(more, pixels, 0)


def picture_excess(networks: Networks, rate_index: int, original: Pixels, shown: Pixels) -> Errors:
    """The error of each block of a picture divided by its bound (`block_bound.excess`), float64 [h, w]. original,
    shown: uint8 [H, W, 3] or [H, W]."""
    edges = ((0, -original.shape[0] % PATCH), (0, -original.shape[1] % PATCH), (0, 0))
    one, other = (np.pad(to_rgb(image), edges, mode="edge")[None] for image in (original, shown))
    (over,) = excess(networks, rate_index, one, other)
    return np.asarray(over)


def all_error_bits(networks: Networks, rate_index: int, shown: Pixels, original: Pixels, drawn: Mask) -> float:
    """What the error of all pixels is worth, in bits, that in drawn cells more."""
    shown, original = to_rgb(shown), to_rgb(original)
    where = pixels_in(drawn, CELL, Rectangle(0, 0, *shown.shape[:2]))
    return error_bits(networks, rate_index, shown, original) + (DRAWN_WEIGHT - 1) * error_bits(
        networks, rate_index, shown[where][None], original[where][None]
    )


def cell_costs(
    networks: Networks,
    rate_index: int,
    original: Pixels,
    shown: Pixels,
    bits: npt.NDArray[np.int64],
    drawn: Mask,
) -> npt.NDArray[np.int64]:
    """What each cell takes by the networks and what its error is worth, in 1/256 bit, int64 [h, w]. original, shown:
    uint8 [H, W, 3] or [H, W]; bits: of each latent position of the padded image in 1/4096 bit, int64; drawn: cells
    whose errors count more."""
    original, shown = to_rgb(original), to_rgb(shown)
    rows, columns = -(-original.shape[0] // CELL), -(-original.shape[1] // CELL)
    per_cell = CELL // PATCH
    own = bits.reshape(bits.shape[0] // per_cell, per_cell, bits.shape[1] // per_cell, per_cell).sum(axis=(1, 3))
    costs: npt.NDArray[np.int64] = own[:rows, :columns] // 16
    for row, column in np.ndindex(rows, columns):
        cell = slice(CELL * row, CELL * row + CELL), slice(CELL * column, CELL * column + CELL)
        weight = DRAWN_WEIGHT if drawn[row, column] else 1
        costs[row, column] += round(FRACTION * weight * error_bits(networks, rate_index, shown[cell], original[cell]))
    return costs
