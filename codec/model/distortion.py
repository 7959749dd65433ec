"""Distortion as training, the encoder and the evaluator's metrics measure it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the luma of ITU-R BT.601."""


def squared_error(difference: Tensor, luma: float) -> Tensor:
    """The squared error of RGB pixels, from differences float [..., 3] -> float [...]: (1 - luma) times the mean of
    their squares plus `luma` times the square of their luma. Differences of grey weigh the same whatever `luma` is,
    0..1; those of colour weigh less the larger it is."""
    of_luma = (difference @ difference.new_tensor(LUMA)).square()
    return (1 - luma) * difference.square().mean(-1) + luma * of_luma


def psnr(original: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio over all samples of two uint8 images of one shape, in dB; infinite if they are
    equal."""
    return psnr_of(np.subtract(original, decoded, dtype=np.float32))  # exact, like the squares


def psnr_of(difference: npt.NDArray[Any]) -> float:
    """Peak signal-to-noise ratio, in dB, from the difference of two images with samples in 0..255, any shape; infinite
    if it is 0 everywhere."""
    mse = np.mean(np.square(difference), dtype=np.float64)
    return float(10 * np.log10(255**2 / mse)) if mse else math.inf
