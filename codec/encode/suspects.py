"""Which cells of a picture look drawn rather than photographed, and about what they take without loss: in integers, so
that the encoder's choice is the same on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..image.picture import to_rgb
from ..model.arrays import Pixels

CELL = 32
"""Pixels to a side of what is chosen at a time. With 16 and 64 mixed pictures took about as many bits."""

Mask = npt.NDArray[np.bool_]
"""bool [ceil(H / 32), ceil(W / 32)]: one a cell."""

_EVERY = 4
"""Of so many rows one is looked at. Photographs are done with after this, so it must be quick."""

_SAME, _STRONG, _STEP = 208, 8, 40
"""Of the 256 pixels that are looked at of a cell so many equal the green of one of four pixels before or above them,
and at so many a colour jumps by more than this. Of photographs 0.2 % of the cells are like that, of 41 none has more
than 1.2 %; of screens and drawings 9 to 60 %."""

_LEAST_SHARE = 24
"""One cell in so many must have few colours and strong edges for any to be suspects, or be of one colour, with points
or without, for those with points."""

_GROUND, _POINTS, _FAINT = 250, 24, 8
"""A cell of one colour with points: of the 256 pixels that are looked at so many equal their neighbours, of its 1024 at
most so many are of another colour than most, and one differs by at least this many levels. The error of a point is
spread over a block, where no latent of it is worth its bits, at any quality."""

_FEW = 150
"""Of the 256 pixels that are looked at of a drawn cell, whose errors count more, so many equal a neighbour. With 208
faint and dense letters were left to the networks: at q 30 a dashboard had SSIMULACRA2 55 in place of 83, for 12 % fewer
bytes."""

_DEAR = 14
"""Bits a pixel, about what such cells take without loss."""

_LEAST_FINE = 2
"""One cell in so many must have fine colours. Of 65 photographs none has more than a third of them at the highest
quality, and there the networks' files and mixed ones are as good for their size."""

_COARSE = 100
"""The squared error worth `_DEAR` bits from which fine colours are not looked for: such strong ones are drawn."""

_FRACTION = 16
"""Of a bit, in which `lossless_bits` are counted."""

_RUN = 8
"""Pixels in a row that may have been seen before."""

_BAND = 1024
"""Rows that are looked at together, for the memory that takes."""


def suspects(pixels: Pixels) -> Mask:
    """Cells of few colours with strong edges, and points on a ground of one colour; none where there are so few of the
    first that they may be a photograph's. pixels: uint8 [H, W, 3] or [H, W]."""
    samples = _cells_of(pixels)
    strong = np.zeros(samples[2::_EVERY, :, 0].shape, bool)
    for channel in range(samples.shape[2]):
        row = samples[2::_EVERY, :, channel]
        strong[:, 1:] |= np.maximum(row[:, 1:], row[:, :-1]) - np.minimum(row[:, 1:], row[:, :-1]) > _STEP
    equal = _equal(samples)
    found: Mask = (equal >= _SAME) & (_sums(strong) >= _STRONG)
    if _LEAST_SHARE * int(found.sum()) <= found.size:
        found[:] = False
    points, calm = np.zeros_like(found), int(found.sum())
    for row, column in np.argwhere(~found & (equal >= _GROUND)):
        others = _other_pixels(samples[CELL * row : CELL * (row + 1), CELL * column : CELL * (column + 1)])
        points[row, column] = 0 < others <= _POINTS
        calm += others <= _POINTS
    # A photograph can have such cells where it is white or black, but not many.
    return found | points if _LEAST_SHARE * calm > found.size else found


def fine_colours(pixels: Pixels, rate_weight: float) -> Mask:
    """Cells whose colour changes so much from pixel to pixel, as in leaves and dense letters, that to lose it, as the
    networks do, who have no latents for most of it, costs more than coding it without loss does. Luma, for which they
    have, does not count. None where there are so few that they may be a photograph's.

    pixels: uint8 [H, W, 3] or [H, W]. rate_weight: the bits that a squared error of 1 of a pixel is worth, a mean over
    its colours."""
    samples = _cells_of(pixels)
    found = np.zeros((samples.shape[0] // CELL, samples.shape[1] // CELL), bool)
    limit = _DEAR / rate_weight
    if samples.shape[2] == 1 or limit > _COARSE:
        return found
    above, own, below = (samples[first::_EVERY].astype(np.int16) for first in (1, 2, 3))
    energy = np.zeros(found.shape, np.int64)
    for channel in (0, 2):
        a, c, b = (rows[..., channel] - rows[..., 1] for rows in (above, own, below))
        across = np.zeros_like(c)
        across[:, 1:-1] = 2 * c[:, 1:-1] - c[:, :-2] - c[:, 2:]
        for change in (across, 2 * c - a - b):
            energy += _sums(np.square(change, dtype=np.int32))
    # A wave of two pixels of amplitude A has changes of 4 A; those along and across are two views of the same.
    found[:] = energy > limit * (2 * 16 * 3 * CELL * CELL // _EVERY)
    if _LEAST_FINE * int(found.sum()) < found.size:
        found[:] = False
    return found


def drawn_cells(pixels: Pixels) -> Mask:
    """Cells of few colours, whatever their edges: faint letters and empty paper too. pixels: as for `suspects`."""
    found: Mask = _equal(_cells_of(pixels)) >= _FEW
    return found


def _cells_of(pixels: Pixels) -> Pixels:
    """The picture padded to whole cells: uint8 [H, W, 1] or [H, W, 3]."""
    height, width = pixels.shape[:2]
    return np.pad(pixels.reshape(height, width, -1), ((0, -height % CELL), (0, -width % CELL), (0, 0)), mode="edge")


def _equal(samples: Pixels) -> npt.NDArray[np.int64]:
    """How many of the 256 pixels that are looked at of each cell equal one before or above them."""
    # Of three colours green tells what is equal, but each may jump where the others do not.
    green = samples[..., samples.shape[2] // 2]
    own = green[2::_EVERY]
    same = (own == green[1::_EVERY]) | (own == green[0::_EVERY])
    same[:, 1:] |= own[:, 1:] == own[:, :-1]
    same[:, 2:] |= own[:, 2:] == own[:, :-2]
    return _sums(same)


def _other_pixels(cell: Pixels) -> int:
    """How many pixels of a cell, uint8 [32, 32, C], are of another colour than most; all if none can be told from
    it."""
    if (cell == cell[0, 0]).all():  # as most are in a drawing
        return 0
    ground = np.median(cell, axis=(0, 1)).astype(np.uint8)
    apart = np.maximum(cell, ground) - np.minimum(cell, ground)
    return int(apart.any(axis=-1).sum()) if apart.max() >= _FAINT else CELL**2


def _sums(of: npt.NDArray[np.bool_] | npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """In each cell of rows that were looked at."""
    rows, columns = CELL // _EVERY, CELL
    own: npt.NDArray[np.int64] = of.reshape(of.shape[0] // rows, rows, of.shape[1] // columns, columns).sum(axis=(1, 3))
    return own


def lossless_bits(pixels: Pixels) -> npt.NDArray[np.int64]:
    """About what each cell takes without loss beside the others, in sixteenths of a bit: int64 [h, w]. What counts is
    how cells compare."""
    bands = [_band_bits(to_rgb(pixels[top : top + _BAND])) for top in range(0, len(pixels), _BAND)]
    return np.concatenate(bands)


_BITS_OF = np.rint(_FRACTION * np.log2(1 + 2 * np.minimum(np.arange(256), 256 - np.arange(256)))).astype(np.uint8)
"""About what a residual takes, modulo 256."""


def _band_bits(rgb: Pixels) -> npt.NDArray[np.int64]:
    height, width, _ = rgb.shape
    rgb = np.pad(rgb, ((1, -height % CELL), (1, -width % CELL), (0, 0)), mode="edge")
    own, left, above, corner = rgb[1:, 1:], rgb[1:, :-1], rgb[:-1, 1:], rgb[:-1, :-1]
    # The median of three predictions, as in JPEG-LS, and green taken from red and blue.
    low, high = np.minimum(left, above), np.maximum(left, above)
    slope = left.astype(np.int16) + above - corner
    residual = own - np.clip(slope, low, high).astype(np.uint8)
    green = residual[..., 1]
    bits = _BITS_OF[green].astype(np.int64) + _BITS_OF[residual[..., 0] - green] + _BITS_OF[residual[..., 2] - green]
    bits[(own == left).all(axis=-1) | (own == above).all(axis=-1)] = 0
    bits[_seen(own, bits > 0)] //= 8
    rows, columns = (side // CELL for side in bits.shape)
    cells: npt.NDArray[np.int64] = bits.reshape(rows, CELL, columns, CELL).sum(axis=(1, 3))
    return cells


def _seen(rgb: Pixels, where: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Of the pixels that are asked for, those in runs that occur more than once: letters, icons."""
    colours = rgb.astype(np.uint64) @ np.array([1 << 16, 1 << 8, 1], np.uint64)
    padded = np.pad(colours, ((0, 0), (_RUN // 2, _RUN // 2)))
    runs = np.zeros(colours.shape, np.uint64)
    for shift in range(_RUN):
        runs = runs * np.uint64(0x9E3779B97F4A7C15) + padded[:, shift : shift + colours.shape[1]]
        runs ^= runs >> np.uint64(31)
    _, index, counts = np.unique(runs[where], return_inverse=True, return_counts=True)
    seen = where.copy()
    seen[where] = counts[index] > 1
    return seen
