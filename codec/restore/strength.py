"""Estimates of how strong a picture's degradation is: the root of its mean squared error, in levels of 8 bits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..model.arrays import Pixels

BLOCK = 16
"""Pixels to a side of the blocks whose noise is measured."""

SMOOTHEST = 0.1
"""The share of the blocks, those with the least noise, that are believed to have nothing else."""

BELOW = 0.9
"""The noise of the SMOOTHEST blocks, as a share of that of all blocks where all have the same: it is a random number in
each block, and the least of them are chosen."""

RANGE = 12, 243
"""Means of a block, in levels, between which noise is not cut off by black or white."""

ROWS = 512
"""Rows of pixels that are looked at together, so that memory does not grow with the picture."""

JPEG_FACTOR, JPEG_POWER = 0.31, 0.66
"""The root mean squared error of JPEG is about JPEG_FACTOR * m ** JPEG_POWER, m the mean of the first quantisation
table: a fit to photographs at qualities from 5 to 95, whose own errors are 0.5 to 2 times as large."""


def noise_strength(pixels: Pixels) -> float:
    """The standard deviation of the noise of a picture, uint8 [H, W, 3] or [H, W], in levels: that of its smoothest
    blocks, by the filter of Immerkaer, Fast Noise Variance Estimation, CVIU 1996. 0 for a picture without a block."""
    variances = [_variances(pixels[top : top + ROWS + 2]) for top in range(0, len(pixels), ROWS)]
    found = np.sort(np.concatenate(variances))
    if not len(found):
        return 0.0
    smoothest = found[: max(1, int(SMOOTHEST * len(found)))]
    return math.sqrt(float(smoothest.mean())) / BELOW


def _variances(pixels: Pixels) -> npt.NDArray[np.float64]:
    """The variance of the noise in each block that is neither black nor white, a mean over its colours."""
    x = pixels.reshape(*pixels.shape[:2], -1).astype(np.float32)
    height, width = ((side - 2) // BLOCK * BLOCK for side in x.shape[:2])
    if height <= 0 or width <= 0:
        return np.zeros(0)
    # The difference of two Laplacians, which is 0 for planes and edges along the axes; noise of variance 1 gives 36.
    across = x[:, :-2] - 2 * x[:, 1:-1] + x[:, 2:]
    filtered = across[:-2] - 2 * across[1:-1] + across[2:]
    squares, means = (
        part[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, -1).mean(axis=(1, 3))
        for part in (np.square(filtered) / 36, x[1:-1, 1:-1])
    )
    inside = ((means > RANGE[0]) & (means < RANGE[1])).all(axis=-1)
    found: npt.NDArray[np.float64] = squares[inside].mean(axis=-1).astype(np.float64)
    return found


def jpeg_strength(table: Sequence[int]) -> float:
    """The strength of compression by JPEG with a quantisation table, 64 numbers from 1 on, in any order."""
    return float(JPEG_FACTOR * np.mean(table) ** JPEG_POWER)
