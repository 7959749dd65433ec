"""Latents to pixels of an eighth of the size, without the networks: what the linear transform gives on average."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from ..model.arrays import Latents, Pixels
from ..model.config import OPERAND_LIMIT, OPERAND_ZERO, PATCH
from ..model.constants import HALF
from ..model.integer_weights import IntegerWeights

SIDE = 8
"""Pixels to a side that become one in a preview."""

_SQUARES = PATCH // SIDE
"""Pixels of a preview to a side of a latent position."""

_ONE = 2**16
"""Weights and sums are integers in units of 1 / _ONE of a level of 8-bit pixels. A layer's outputs are within 2^28, so
that sums stay below 2^46, which float64 holds in any order."""

_LIMIT = HALF * OPERAND_ZERO - 1
"""Largest magnitude of a latent in the units of the linear transform, 16 bits."""

_POSITIONS, _TOGETHER = 512, 16
"""Latent positions at a time, whose numbers stay in the cache; and those of one product, so small that the library
starts no threads for it, which on a busy machine took twenty times as long. The positions of a tile are a multiple of
the latter."""


class Preview:
    """The linear part of the synthesis, averaged over squares of SIDE x SIDE pixels. What the correcting network adds
    is small on average, and left out. The pixels are the same on every machine and for every back end: numpy calculates
    them, on integers."""

    def __init__(self, weights: IntegerWeights) -> None:
        self._weights = weights
        self._levels = weights.table("pixels.levels")

    def __call__(self, latents: Latents, rate_index: int) -> Pixels:
        """The pixels, uint8 [B, 2h, 2w, 3], of latents, int32 [B, h, w, M] in sixteenths of a quantisation step."""
        weights, zero = self._tables
        images, height, width, channels = latents.shape
        given = latents.reshape(-1, channels)
        samples = np.empty((len(given), weights.shape[1]), np.uint8)
        for top in range(0, len(given), _POSITIONS):
            levels = given[top : top + _POSITIONS].astype(np.float32) * self._levels[rate_index]
            np.rint(levels, out=levels)
            np.clip(levels, np.float32(-_LIMIT), np.float32(_LIMIT), out=levels)
            sums = levels.astype(np.float64).reshape(-1, _TOGETHER, channels) @ weights + zero
            values = np.clip(np.rint(sums / _ONE), 0, OPERAND_LIMIT)
            samples[top : top + _POSITIONS] = values.reshape(-1, weights.shape[1])
        image = samples.reshape(images, height, width, _SQUARES, _SQUARES, 3).swapaxes(2, 3)
        return image.reshape(images, _SQUARES * height, _SQUARES * width, 3)

    @functools.cached_property
    def _tables(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The weights of latents, [M, 12], and what latents of 0 give, [12]: whole numbers, in float64."""
        top, top_zero = self._averaged("pixels.linear.top")
        middle, middle_zero = self._averaged("pixels.linear.middle")
        # Those of a latent's upper byte are the precise ones, of 16 bits; a latent is not split here, and takes them.
        upper = top + middle[: len(top)]
        return np.rint(upper / HALF), np.rint(top_zero + middle_zero)

    def _averaged(self, name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The weights, [inputs, 12], of a layer that gives patches, and its outputs, [12], for operands that stand for
        0, OPERAND_ZERO: means over squares, in units of 1 / _ONE. Exact: what is added up are multiples of 2^-8 below
        2^44."""
        weight, bias, multiplier = self._weights.numbers(name)
        outputs = np.column_stack([weight, bias + weight.sum(axis=1, dtype=np.float64) * OPERAND_ZERO])
        outputs *= multiplier[:, None].astype(np.float64) * _ONE
        squares = outputs.reshape(_SQUARES, SIDE, _SQUARES, SIDE, 3, -1)
        means = squares.mean(axis=(1, 3)).reshape(_SQUARES**2 * 3, -1).T
        return means[:-1], means[-1]
