"""The distortion that rates are set against: what training, the encoder and the evaluator's metrics share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..backends.kernels.coding import compare
from ..backends.kernels.instructions import Kernels

if TYPE_CHECKING:
    from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the luma of ITU-R BT.601."""


def squared_error(difference: Tensor, luma: float) -> Tensor:
    """float [..., 3], a difference of RGB -> float [...]: (1 - luma) times the mean of the squares and `luma` times the
    square of the luma. Differences of grey weigh the same at any share, those of colour less."""
    of_luma = (difference @ difference.new_tensor(LUMA)).square()
    return (1 - luma) * difference.square().mean(-1) + luma * of_luma


_LUMA_256 = (77, 150, 29)
"""The same in whole numbers out of 256."""


def summed_error(
    x: npt.NDArray[np.uint8], y: npt.NDArray[np.uint8], luma: float, kernels: Kernels | None = None
) -> float:
    """`squared_error` of the difference of two 8-bit images, uint8 [..., 3], summed up: the same on every machine,
    since squares of whole numbers are added, exactly up to two megapixels of the largest. kernels: what does it,
    instead of numpy."""
    if kernels:
        squares, luma_squares = map(float, compare(kernels, x, y))
    else:
        difference = np.subtract(x, y, dtype=np.float32)
        # No product of matrices: numpy's threads for those would wait, busily, beside torch's.
        red, green, blue = (np.float32(share) * difference[..., c] for c, share in enumerate(_LUMA_256))
        squares, luma_squares = (
            float(np.square(part, dtype=np.float64).sum()) for part in (difference, red + green + blue)
        )
    return (1 - luma) * (squares / 3) + luma * (luma_squares / 256**2)


def psnr(original: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio over all samples of two uint8 images, in dB; infinite if they are equal."""
    return psnr_of(np.subtract(original, decoded, dtype=np.float32))  # exact, like the squares


def psnr_of(difference: npt.NDArray[Any]) -> float:
    """The same of a difference of images with a range of 255."""
    mse = np.mean(np.square(difference), dtype=np.float64)
    return float(10 * np.log10(255**2 / mse)) if mse else math.inf
