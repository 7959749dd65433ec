"""The visual error that SSIMULACRA 2.1 scores, as a part of the loss: differentiable, and for crops of any size.

Jon Sneyers' metric (Cloudinary, 2022 and 2023) compares pictures in XYB, a colour space near that of the eye's cones,
at up to six scales, by an SSIM without its luminance term and by what edges have gained or lost, each as a mean and as
a 4-norm, which counts the worst spots more. Its 108 weights come from the scores of people; this takes them from the
package `ssimulacra2`, which measures the results.
"""

from __future__ import annotations

import importlib
import math
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

OPSIN = ((0.3, 0.622, 0.078), (0.23, 0.692, 0.078), (0.24342268924547819, 0.20476744424496821, 0.5518098665095536))
OPSIN_BIAS = 0.0037930732552754493
"""Linear RGB to absorbances, and what is added to them before their cube root (JPEG XL's XYB)."""

SCALES, SMALLEST = 6, 8
"""Scales, each of half the size of the one before, as long as a side has so many pixels."""

SIGMA, RADIUS = 1.5, 5
"""Of the Gaussian window, in pixels."""

C2 = 0.0009
"""The constant of SSIM's second factor."""

FACTOR = 0.9562382616834844
"""What the weighted sum is multiplied by."""

NEGLIGIBLE = 0.01
"""The largest weight of a scale's colour that is left out. There are some of up to 0.002, and most of the others are
above 1."""

TINY = 1e-28
"""Added below fourth roots, whose slope at 0 has no bound."""


def visual_error(x: Tensor, y: Tensor) -> Tensor:
    """The error of pictures y against x, float [B, H, W, 3] in -0.5..0.5, at least 8 pixels a side: float32 [B], which
    is 0 where they are equal, and of which `score` is a falling function. Borders differ a little from the metric's:
    the window is cut there, not filled up."""
    with torch.autocast(x.device.type, enabled=False):
        one, other = (_linear(picture.float().movedim(-1, 1) + 0.5) for picture in (x, y))
        total = x.new_zeros(len(x), dtype=torch.float32)
        for scale in range(SCALES):
            if min(one.shape[2:]) < SMALLEST:
                break
            colours, weights = _weights(scale)
            if colours:
                features = _features(_xyb(one)[:, colours], _xyb(other)[:, colours])
                total = total + (torch.from_numpy(weights).to(x.device) * features).sum((1, 2, 3))
            one, other = (torch.nn.functional.avg_pool2d(picture, 2) for picture in (one, other))
        return FACTOR * total


def score(error: float) -> float:
    """The score of SSIMULACRA 2.1 for an error: 100 for none, 70 for high quality, no lower bound."""
    bent = 2.326765642916932 * error - 0.020884521182843837 * error**2 + 6.248496625763138e-05 * error**3
    return 100 - 10 * math.copysign(abs(bent) ** 0.6276336467831387, bent)


@cache
def _weights(scale: int) -> tuple[list[int], npt.NDArray[np.float32]]:
    """The colours of XYB that count at a scale, and float32 [colour, norm, kind]: of each, the weights as mean and
    4-norm of SSIM, edges gained and edges lost."""
    table = importlib.import_module("ssimulacra2.ssimulacra2").weights.reshape(3, SCALES, 2, 3)[:, scale]
    colours = np.flatnonzero(table.max(axis=(1, 2)) > NEGLIGIBLE)
    return colours.tolist(), table[colours].astype(np.float32)


def _linear(rgb: Tensor) -> Tensor:
    """SRGB in 0..1, and clipped to that, as linear light."""
    rgb = rgb.clamp(0, 1)
    return torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


def _xyb(linear: Tensor) -> Tensor:
    """Linear RGB to XYB, [B, 3, H, W], in the metric's ranges."""
    cones = torch.einsum("oc,bchw->bohw", linear.new_tensor(OPSIN), linear) + OPSIN_BIAS
    long, medium, short = (cones ** (1 / 3) - OPSIN_BIAS ** (1 / 3)).unbind(1)
    y = (long + medium) / 2
    return torch.stack([7 * (long - medium) + 0.42, y + 0.01, short - y + 0.55], 1)


def _features(one: Tensor, other: Tensor) -> Tensor:
    """[B, colour, norm, kind] of pictures [B, 3, H, W] at one scale."""
    mean, mean_other = _blurred(one), _blurred(other)
    variances = _blurred(one.square() + other.square()) - mean.square() - mean_other.square()
    # 1 - (1 - m) (1 - v) with v = 1 - (2 covariance + C2) / (variances + C2), from differences, for their precision.
    m = (mean - mean_other).square()
    v = (_blurred((one - other).square()) - m) / (variances + C2)
    edges = (1 + (other - mean_other).abs()) / (1 + (one - mean).abs()) - 1
    maps = torch.stack([m + v - m * v, edges, -edges], -1).clamp_min(0)
    return torch.stack([maps.mean((2, 3)), (maps**4).mean((2, 3)).add(TINY) ** 0.25], 2)


def _blurred(planes: Tensor) -> Tensor:
    """Planes [B, 3, H, W] under the window, cut at the borders: as products with matrices, which are several times
    faster than convolutions at these sizes."""
    height, width = (_window(side).to(planes) for side in planes.shape[2:])
    return height @ planes @ width.T


@cache
def _window(side: int) -> Tensor:
    """Float32 [side, side]: the weights of all pixels of a line for each of its pixels."""
    distance = torch.arange(side)[:, None] - torch.arange(side)
    window = torch.exp(-distance.square() / (2 * SIGMA**2)) * (distance.abs() <= RADIUS)
    return window / window.sum(1, keepdim=True)
