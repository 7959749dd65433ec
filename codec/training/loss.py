"""The training loss: rate plus weighted distortion, over all rates at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..evaluation.metrics import pytorch_msssim
from ..model.distortion import squared_error
from .model.model import CompressionModel, RatedReconstruction
from .recipe import MS_SSIM_WINDOW
from .visual import visual_error

RATE_EXPONENT = 0.45
"""The power of lambda that losses are divided by: BD-rate counts relative rate; high rates would rule a plain sum."""

MS_SSIM_WEIGHT = 1280.0 / 255**2
"""The weight of 1 - MS-SSIM against the mean squared error in units of the pixel range. CompressAI's documentation
gives pairs of lambda for the two, 0.0018 and 2.40 to 0.18 and 220.50, whose ratios are 1225 to 1333."""

VISUAL_WEIGHT = 8 / 255**2
"""The weight of the visual error against the mean squared error in units of the pixel range: on photographs at
qualities from 20 to 95 the squared error in levels is 6 to 28 times as large, 12 on most."""

BLOCK = 8
"""Pixels to a side of the blocks whose borders count: those that the networks' last layers make."""

SMOOTH = 3 / 255
"""The difference of an original's neighbouring pixels, of a range of 1, at which jumps at borders count half."""


class Loss(NamedTuple):
    """The mean loss of a batch, and the losses, rates and errors of its samples."""

    total: Tensor
    samples: Tensor
    """float32 [B]: what `total` is the mean of."""
    bpp: Tensor
    """float32 [B]: bits per pixel."""
    mse: Tensor
    """float32 [B]: mean squared error over RGB in units of the pixel range."""


def rate_distortion(
    model: CompressionModel,
    x: Tensor,
    t: Tensor,
    out: RatedReconstruction,
    *,
    ms_ssim: float = 0.0,
    visual: float = 0.0,
    luma: float = 0.0,
    borders: float = 0.0,
) -> Loss:
    """The loss of a batch, bits per pixel + lambda * distortion, balanced over the rates by RATE_EXPONENT.

    x: the originals, float32 [B, H, W, 3] in -0.5..0.5; t: float32 [B], the rate of each sample in 0..1; out: what the
    model made of them. ms_ssim, visual: the shares s and v of the distortion (1 - s - v) E + s MS_SSIM_WEIGHT (1 -
    MS-SSIM) + v VISUAL_WEIGHT S, with S of `visual_error`. luma: the share of luma in E, the mean squared error.
    borders: the weight of `_border_jumps`, added to the distortion."""
    pixels = x.shape[1] * x.shape[2]
    bpp = (out.bits_y + out.bits_z) / pixels
    error = out.x.float() - x
    mse = error.square().mean((1, 2, 3))
    distortion = squared_error(error, luma).mean((1, 2))
    distortion = (1 - ms_ssim - visual) * distortion
    if ms_ssim:
        distortion = distortion + ms_ssim * MS_SSIM_WEIGHT * (1 - _ms_ssim(x, out.x.float()))
    if visual:
        distortion = distortion + visual * VISUAL_WEIGHT * visual_error(x, out.x)
    if borders:
        distortion = distortion + borders * _border_jumps(x, error)
    weight = model.config.rate_weight(t)
    # Relative to the middle of the range, so that the weights are around 1.
    balance = (weight / model.config.rate_weight(0.5)) ** -RATE_EXPONENT
    samples = balance * (weight * 255**2 * distortion + bpp)
    return Loss(samples.mean(), samples.detach(), bpp.detach(), mse.detach())


def _border_jumps(x: Tensor, error: Tensor) -> Tensor:
    """Squared jumps of the error across the borders of 8x8 blocks, each a mean along the side of a block, where the
    original is smooth: a mean over all pixels, float32 [B]. x, error: float32 [B, H, W, 3].

    In skies steps of a level or two are seen at once, and no other part of the distortion minds them. Noise, which
    differs from pixel to pixel, is left to the squared error: counted here pixel by pixel it made smooth areas cost
    three times as much as others.
    """
    total = x.new_zeros(len(x))
    for axis in (1, 2):
        jumps, change = (_across(values.mean(-1), axis) for values in (error, x))
        # What the original does within the four pixels around a border.
        activity = change.square().mean((-2, -1))
        weight = SMOOTH**2 / (SMOOTH**2 + activity)
        total = total + (weight * jumps[..., 1].mean(-1).square()).sum((1, 2)) * BLOCK
    return total / (x.shape[1] * x.shape[2])


def _across(x: Tensor, axis: int) -> Tensor:
    """The differences of the pixels around each side of 8x8 blocks along an axis: [B, H, W] -> [B, n, m, 8, 3]: n
    borders of m sides of 8 pixels, the differences before the border, across it and after it."""
    lines = x.transpose(1, axis)  # borders along the first axis
    inner = lines[:, 6:-2].unfold(1, 4, BLOCK)  # [B, n, W, 4]: two pixels on each side of a border
    changes = inner.diff(dim=-1)
    return changes.reshape(*changes.shape[:2], -1, BLOCK, 3)


def _ms_ssim(x: Tensor, y: Tensor) -> Tensor:
    """The MS-SSIM of pictures, float32 [B, H, W, 3] in -0.5..0.5 -> float32 [B]."""
    with torch.autocast(x.device.type, enabled=False):
        result: Tensor = pytorch_msssim().ms_ssim(
            (x + 0.5).permute(0, 3, 1, 2),
            (y + 0.5).permute(0, 3, 1, 2),
            data_range=1.0,
            size_average=False,
            win_size=MS_SSIM_WINDOW,
        )
    return result
