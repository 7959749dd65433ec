"""Rounding of latents by rate and distortion, and comparison of images, in numpy. kernels/coding.py has the same
functions by the compiled kernels."""

from __future__ import annotations

import numpy as np

from ..model.arrays import Floats, Pixels, ScaleIndices, Symbols
from ..model.config import LATENT_FRACTION
from ..model.constants import CLASSES, group_of
from .kernels.coding import Costs

_LUMA_256 = (77, 150, 29)
"""Shares of red, green and blue in the luma of ITU-R BT.601, times 256, rounded."""


def round_latents(
    costs: Costs,
    step: int,
    means: Floats,
    scale_indices: ScaleIndices,
    y: Floats,
    sigma_in_steps: Floats,
    rd_weight: Floats,
) -> Symbols:
    """The symbols of a step, rounded by rate and distortion, with the arguments of `Networks.round_latents`."""
    size = y.shape[-1] // 4
    residual = means * np.float32(-1 / LATENT_FRACTION)
    weight = np.empty((4, 1, 1, 1, size), np.float32)
    for k, (down, right) in enumerate(CLASSES):
        group = slice(group_of(k, step) * size, (group_of(k, step) + 1) * size)
        residual[k] += y[:, down::2, right::2, group] * sigma_in_steps[group]
        weight[k] = rd_weight[group]
    # Only what is coded is rounded: most latents are not.
    coded = np.flatnonzero(np.take(costs.coded, scale_indices, mode="clip"))
    picked = np.broadcast_to(weight, scale_indices.shape).ravel()[coded]
    symbols = np.zeros(scale_indices.shape, np.int32)
    symbols.ravel()[coded] = round_by_cost(costs, residual.ravel()[coded], scale_indices.ravel()[coded], picked)
    return symbols


def round_by_cost(costs: Costs, residual: Floats, scale_indices: ScaleIndices, weight: Floats) -> Symbols:
    """The symbols, int32 [n], of residuals, float32 [n] in quantisation steps, rounded by rate and distortion.

    scale_indices: uint8 [n], of scales that are coded. weight: float32 [n], bits that an error of one squared step is
    worth.
    """
    depth = costs.half_extra.shape[1] - 1
    magnitude = np.abs(residual)
    nearest = np.minimum(np.rint(magnitude), np.float32(costs.most))
    index = np.minimum(nearest, np.float32(depth)).astype(np.intp)
    index += scale_indices.astype(np.intp) * (depth + 1)  # uint8 would overflow in numpy 1.26
    threshold = nearest - np.float32(0.5) + costs.half_extra.ravel()[index] / weight
    below = (magnitude < threshold) & (nearest <= depth) & (nearest > 0)
    symbols: Symbols = np.copysign(nearest - below, residual).astype(np.int32)
    return symbols


def squared_errors(x: Pixels, y: Pixels) -> tuple[float, float]:
    """The sums of squared differences of two images, uint8 [..., 3], over RGB, and over luma times 256^2. The sums of
    integers are exact in float64 up to two megapixels of the largest differences."""
    difference = np.subtract(x, y, dtype=np.float32)
    # No matrix product: numpy's threads for it would busy-wait beside torch's.
    red, green, blue = (np.float32(share) * difference[..., c] for c, share in enumerate(_LUMA_256))
    squares, luma_squares = (
        float(np.square(part, dtype=np.float64).sum()) for part in (difference, red + green + blue)
    )
    return squares, luma_squares
