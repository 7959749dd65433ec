"""What errors are worth, against bits."""

from __future__ import annotations

from ..backends.interface import Networks
from ..model.arrays import Pixels

LUMA_SHARE = 0.8
"""Of the luma's error in the distortion, beside that of RGB, as in most of training."""


def error_bits(networks: Networks, rate_index: int, shown: Pixels, original: Pixels) -> float:
    """How many bits the error of pixels is worth at a rate, `distortion.squared_error` summed up. uint8 [H, W, 3]."""
    squares, luma_squares = networks.squared_errors(shown, original)
    error = (1 - LUMA_SHARE) * (squares / 3) + LUMA_SHARE * (luma_squares / 256**2)
    return float(networks.rate_weight[rate_index]) * error
