"""Patches: the streams of their cells, and what of a picture is left to the networks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...bitstream.header import Header, latent_size
from ...bitstream.patches import CELL as CODED_CELL
from ...bitstream.patches import Map, areas, pixels_in
from ...bitstream.rectangle import Rectangle
from ..image.webp import compress
from ..model.arrays import Pixels
from ..model.config import PATCH
from .suspects import CELL, Mask

TRIAL = (2, 30)
"""Method and quality of libwebp where a size is only looked at: a sixth larger than what is written."""

FINAL = (4, 100)
"""The same for files. Method 6 takes three times as long for 1 % less on some and more on others."""


class Patched(NamedTuple):
    """A picture of which cells are chosen.

    pixels: what is left to the networks, uint8 like the picture's, with colours from around in the cells. blocks: bool
    [h, w], latent positions of the padded image whose pixels are all in patches. skipped: cells of 64x64 pixels that
    the networks do not code.
    """

    pixels: Pixels
    blocks: npt.NDArray[np.bool_]
    skipped: Map


def patched(pixels: Pixels, header: Header, cells: Mask) -> Patched:
    """With cells that were chosen."""
    height, width = latent_size(header)
    per_cell, per_unit = CELL // PATCH, CODED_CELL // PATCH
    blocks = cells.repeat(per_cell, axis=0).repeat(per_cell, axis=1)
    # What pads the image is in patches where its nearest pixels are.
    blocks = np.pad(blocks, ((0, height - len(blocks)), (0, width - blocks.shape[1])), mode="edge")
    units = blocks.reshape(height // per_unit, per_unit, width // per_unit, per_unit)
    return Patched(fill(pixels, cells), blocks, np.asarray(units.all(axis=(1, 3))))


def cells_of(tile: Rectangle) -> tuple[slice, slice]:
    """Where the cells of 64x64 pixels of a tile, in latent positions, are in a map."""
    cells = tile.covering(CODED_CELL // PATCH)
    return slice(cells.top, cells.bottom), slice(cells.left, cells.right)


def compress_cells(pixels: Pixels, cells: Mask, method: int, quality: int) -> list[bytes]:
    """The stream of each area."""
    return [_compress(pixels, cells, area, method, quality) for area in areas(*pixels.shape[:2])]


def _compress(pixels: Pixels, cells: Mask, area: Rectangle, method: int, quality: int) -> bytes:
    """The stream of an area, nothing where none of the cells is in it."""
    shown = pixels_in(cells, CELL, area)
    if not shown.any():
        return b""
    return compress(pixels[area.top : area.bottom, area.left : area.right], shown, method, quality)


def fill(pixels: Pixels, cells: Mask) -> Pixels:
    """The picture with one colour in each of the cells, from what is around them: the mean of the others in the
    smallest square of 2x2, 4x4 .. cells that has any."""
    values = pixels.reshape(*pixels.shape[:2], -1)
    left = np.zeros(cells.shape, np.int64)
    sums = np.zeros((*cells.shape, values.shape[2]), np.int64)
    for row, column in np.argwhere(~cells):
        own = values[CELL * row : CELL * row + CELL, CELL * column : CELL * column + CELL]
        sums[row, column] = own.sum(axis=(0, 1), dtype=np.int64)
        left[row, column] = own.shape[0] * own.shape[1]
    colours = _means(sums, left).astype(np.uint8)
    filled = values.copy()
    for row, column in np.argwhere(cells):
        filled[CELL * row : CELL * row + CELL, CELL * column : CELL * column + CELL] = colours[row, column]
    return filled.reshape(pixels.shape)


def _means(sums: npt.NDArray[np.int64], weights: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """[h, w, C] over [h, w], and where nothing weighs the means of the picture of half the size."""
    known = weights > 0
    means = (sums + weights[..., None] // 2) // np.maximum(weights, 1)[..., None]
    if known.all():
        return means
    if not known.any():
        return np.full_like(means, 128)
    height, width = known.shape
    edges = ((0, height % 2), (0, width % 2))
    weights, sums = np.pad(weights, edges), np.pad(sums, (*edges, (0, 0)))
    coarse = _means(_halved(sums), _halved(weights[..., None])[..., 0])
    wide = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.where(known[..., None], means, wide)


def _halved(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return values[::2, ::2] + values[::2, 1::2] + values[1::2, ::2] + values[1::2, 1::2]
