"""Missing pixels filled smoothly from those around them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..model.arrays import Floats, Pixels


def fill(pixels: Pixels, missing: npt.NDArray[np.bool_]) -> Pixels:
    """A picture whose missing pixels have colours from around them: the known ones' means in squares of 2, 4, 8 ..
    pixels, interpolated between squares. Where nothing is known it is mid-grey.

    pixels: uint8 [H, W, C]; missing: bool [H, W]. Known pixels stay as they are.
    """
    known = (~missing).astype(np.float32)[..., None]
    filled = np.clip(np.rint(_filled(pixels * known, known)), 0, 255).astype(np.uint8)
    return np.where(missing[..., None], filled, pixels)


def _filled(sums: Floats, weights: Floats) -> Floats:
    """sums / weights, float32 [h, w, C], and where weights, float32 [h, w, 1] in 0..1, are below 1 so much of the same
    at half the size."""
    height, width = weights.shape[:2]
    if weights.min() == 1:
        return sums
    if height == width == 1:
        return sums / weights if weights[0, 0, 0] else np.full_like(sums, 128)
    edges = ((0, height % 2), (0, width % 2), (0, 0))
    halved_sums, halved = (_halved(np.pad(values, edges)) for values in (sums, weights))
    # Four pixels weigh at most as much as one: a mean of whatever is known.
    most = np.maximum(halved, np.float32(1))
    means: Floats = (halved_sums / most).astype(np.float32)
    coarse = _doubled(_filled(means, (halved / most).astype(np.float32)), height, width)
    return sums + (1 - weights) * coarse


def _halved(values: Floats) -> Floats:
    """Sums of squares of 2x2: [2h, 2w, C] -> [h, w, C]."""
    return values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]


def _doubled(values: Floats, height: int, width: int) -> Floats:
    """Twice the size by linear interpolation, cut to [height, width, C]."""
    for axis in (0, 1):
        before, after = _shifted(values, axis, -1), _shifted(values, axis, 1)
        both = np.stack([0.75 * values + 0.25 * before, 0.75 * values + 0.25 * after], axis=axis + 1)
        values = both.reshape(*values.shape[:axis], -1, *values.shape[axis + 1 :])
    return values[:height, :width]


def _shifted(values: Floats, axis: int, step: int) -> Floats:
    """Each value's neighbour along an axis, at the end the value itself."""
    index = np.clip(np.arange(values.shape[axis]) + step, 0, values.shape[axis] - 1)
    return values.take(index, axis)
