"""The training loss: rate plus weighted distortion, over all rates at once."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ..model import CompressionModel, RatedReconstruction

RATE_EXPONENT = 0.45
"""Each sample's loss is divided by lambda ** 0.45. BD-rate counts relative rate, and a plain sum would be ruled by
the highest rates."""


class Loss(NamedTuple):
    """Mean loss of a batch, and its parts a sample."""

    total: Tensor
    bpp: Tensor
    """float32 [B]: bits per pixel."""
    mse: Tensor
    """float32 [B]: mean squared error in units of the pixel range."""


def rate_distortion(model: CompressionModel, x: Tensor, t: Tensor, out: RatedReconstruction) -> Loss:
    """x: float32 [B, H, W, 3] in -0.5..0.5; t: float32 [B], the rate index of each sample."""
    pixels = x.shape[1] * x.shape[2]
    bpp = (out.bits_y + out.bits_z) / pixels
    mse = (out.x.float() - x).square().mean((1, 2, 3))
    weight = model.config.rate_weight(t)
    # t is drawn evenly, so the mean of this weighting over the middle of the range is near 1.
    balance = (weight / model.config.rate_weight(0.5)) ** -RATE_EXPONENT
    return Loss((balance * (weight * 255**2 * mse + bpp)).mean(), bpp.detach(), mse.detach())
