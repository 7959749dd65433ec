"""The distortion that rates are set against: what the encoder's targets and the evaluator's metrics share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt


def psnr(original: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio over all samples of two uint8 images, in dB; infinite if they are equal."""
    return psnr_of(np.subtract(original, decoded, dtype=np.float32))  # exact, like the squares


def psnr_of(difference: npt.NDArray[Any]) -> float:
    """The same of a difference of images with a range of 255."""
    mse = np.mean(np.square(difference), dtype=np.float64)
    return float(10 * np.log10(255**2 / mse)) if mse else math.inf
