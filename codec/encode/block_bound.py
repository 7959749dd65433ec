"""A bound on the error of every block of 16x16 pixels: which blocks are beyond it, and latents that code them better.

Means over pictures hide a block of coloured noise in a sky. The encoder can know what a decoder will show, to the last
bit, so it looks at each block. One that is beyond the bound is coded again from the linear transform's latents, with
hyper-latents that announce a busy block, so that nothing in it is skipped.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..backends.interface import Networks
from ..model.arrays import Floats, Latents, Pixels
from ..model.config import LATENT_FRACTION, PATCH
from ..tile.coder import TileCoder

Mask = npt.NDArray[np.bool_]
"""bool [B, h, w], one for each block."""

Errors = npt.NDArray[np.float64]
"""Mean squared errors of blocks, in levels of 8 bits, or what they are compared with."""

BASE_ERROR = 16.0
"""The part of the bound that is the same at any rate: a mean squared error in levels of 8 bits, of four levels."""

RATE_SHARE = 1 / 16
"""The share of 3 / (2 ln 2 lambda) that is added to the bound: the mean squared error that is optimal at high rates
where the slope of D(R) is -1 / lambda. At low rates blocks have less, since most of what they could show is skipped."""

VARIANCE_FACTOR = 4.0
"""How many times a block's variance is added to the bound: an error of twice the amplitude of what there is to see."""

SMOOTH_DEVIATION = 3.0
"""Below this standard deviation, in levels, a mean over the three colours, a block is smooth. In a calm picture errors
show there that the bound above would let pass, so that smooth blocks have another as well."""

SMOOTH_ERROR = 24.0
SMOOTH_RATE_SHARE = 1 / 80
SMOOTH_MEDIANS = 16.0
"""The bound of a smooth block is the largest of a mean squared error, of this share of what is optimal at the rate
(`RATE_SHARE`), and of so many times the error that half of the blocks around have."""

PUTTING_RIGHT = ((0.0, 64.0), (3.0, 1.0), (8.0, 1.0), (3.0, 64.0), (8.0, 64.0))
"""(strength, weight) of the trials to code a block better, in their order. strength: how many standard deviations of
the latents its hyper-latents announce; 0 leaves those as they are. weight: how many times as much as usual at this rate
errors count against bits."""

ROUNDS_OF_EACH = 5
"""Rounds of each trial, in which blocks that it broke join the others: features reach beyond a hyper-latent's area."""

STRONGEST_CHANNELS = 4
"""How many latent channels, those that weigh most in pixels, are looked at where pixels are not."""

FRACTION = 256
"""Costs are rounded to whole multiples of 1/256 bit, so that sums of them are exact in any order."""

SAMPLES = 3 * PATCH**2


def optimal_error(networks: Networks, rate_index: int) -> float:
    """The mean squared error, in levels of 8 bits, that is optimal at high rates where bits are worth what they are at
    this rate: 3 / (2 ln 2 lambda)."""
    return 3 / (2 * math.log(2) * float(networks.rate_weight[rate_index]))


def floor(networks: Networks, rate_index: int) -> float:
    """The bound of a block of one colour in a picture that is not smooth: mean squared error over its samples, in
    levels of 8 bits."""
    return BASE_ERROR + RATE_SHARE * optimal_error(networks, rate_index)


def smooth_bound(networks: Networks, rate_index: int, errors: Errors) -> Errors:
    """The bound of the smooth blocks of each picture, float64 [B]. errors: mean squared errors of all its blocks,
    float64 [B, h, w]."""
    usual = np.median(errors.reshape(len(errors), -1), axis=1)
    least = max(SMOOTH_ERROR, SMOOTH_RATE_SHARE * optimal_error(networks, rate_index))
    return np.maximum(SMOOTH_MEDIANS * usual, least)


def bound(original: Pixels, least: float, smooth: Errors) -> Errors:
    """The mean squared error that each block of a picture may have: uint8 [n, 16, 16, 3] -> float64 [n], in levels of
    8 bits. least: `floor` at the rate; smooth: `smooth_bound` of the picture of each block, float64 [n]."""
    levels = original.reshape(len(original), PATCH**2, 3).astype(np.float32)
    sums = levels.sum(axis=1).astype(np.float64)
    # Sums of 256 squares of 8 bits are below 2^24, so exact in float32.
    squares = np.square(levels, out=levels).sum(axis=1).astype(np.float64)
    variances = (PATCH**2 * squares - np.square(sums)) / PATCH**4
    limits: Errors = least + VARIANCE_FACTOR * variances.mean(axis=-1)
    is_smooth = np.sqrt(variances).mean(axis=-1) < SMOOTH_DEVIATION
    return np.where(is_smooth, np.minimum(limits, smooth), limits)


def excess(networks: Networks, rate_index: int, original: Pixels, shown: Pixels) -> Errors:
    """Each block's mean squared error divided by its bound, above 1 where it is broken, and 0 where it is below the
    bound of any block: float64 [B, h, w]. original, shown: uint8 [B, 16h, 16w, 3], what pads them the same in both."""
    images, height, width, _ = original.shape
    squares = np.subtract(shown, original, dtype=np.float32)
    np.square(squares, out=squares)
    # Sums of 16 squares are below 2^24, so exact in float32.
    columns = squares.reshape(images, height // PATCH, PATCH, 3 * width).sum(axis=2)
    blocks = columns.reshape(images, height // PATCH, width // PATCH, 3 * PATCH).sum(axis=-1, dtype=np.float64)
    return _over_bound(networks, rate_index, original, blocks / SAMPLES)


def suspected(networks: Networks, rate_index: int, original: Pixels, y: Floats, decoded: Latents) -> Mask:
    """Blocks that the errors of their strongest latents, brightness and colours, alone put beyond their bound. The
    linear transform is nearly orthonormal, so that errors of latents are those of pixels; to decode and look at pixels
    would take half as long again as the fastest encoding does. original: uint8 [B, 16h, 16w, 3]; y: float32
    [B, h, w, M] in standard deviations; decoded: int32 [B, h, w, M] in sixteenths of a step."""
    in_steps, weights = networks.sigma_in_steps[rate_index], networks.rd_weight[rate_index]
    strongest = np.argsort(-weights * np.square(in_steps), kind="stable")[:STRONGEST_CHANNELS]
    cost = y[..., strongest] * in_steps[strongest]
    cost -= decoded[..., strongest] * np.float32(1 / LATENT_FRACTION)
    cost = np.square(cost) * (weights[strongest] * np.float32(FRACTION))
    bits = np.rint(cost).sum(axis=-1, dtype=np.float64) / FRACTION
    # `rate_weight` bits are worth a squared error of 1 of a pixel, a mean over its colours.
    errors = bits / (PATCH**2 * float(networks.rate_weight[rate_index]))
    return _over_bound(networks, rate_index, original, errors) > 1


def _over_bound(networks: Networks, rate_index: int, original: Pixels, errors: Errors) -> Errors:
    """Mean squared errors of blocks, float64 [B, h, w], divided by their bounds; 0 where no block's is lower."""
    least, smooth = floor(networks, rate_index), smooth_bound(networks, rate_index, errors)
    ratios, above = np.zeros_like(errors), errors > np.minimum(least, smooth)[:, None, None]
    if above.any():
        images, h, w = errors.shape
        blocks = original.reshape(images, h, PATCH, w, PATCH, 3).swapaxes(2, 3)
        ratios[above] = errors[above] / bound(blocks[above], least, smooth[np.nonzero(above)[0]])
    return ratios


def put_right(
    coder: TileCoder,
    rate_index: int,
    original: Pixels,
    y: Floats,
    z: npt.NDArray[np.int32],
    mask: Mask,
    strength: float,
) -> tuple[Floats, npt.NDArray[np.int32]]:
    """Latents and hyper-latents of one image that code the blocks of a mask better: latents of the linear transform,
    and hyper-latents that announce latents of `strength` standard deviations. original: uint8 [1, 16h, 16w, 3];
    y: float32 [1, h, w, M] and z: int32 [1, h/4, w/4, Z], which the other blocks keep."""
    _, h, w = mask.shape
    cells: Mask = np.asarray(mask.reshape(1, h // 4, 4, w // 4, 4).any(axis=(2, 4)))
    linear = np.where(mask[..., None], coder.networks.analyse_linear(original), y)
    if not strength:
        return linear, z
    return linear, np.where(cells[..., None], _busy_hyper_latents(coder.networks, rate_index, strength), z)


def _busy_hyper_latents(networks: Networks, rate_index: int, strength: float) -> npt.NDArray[np.int32]:
    """The hyper-latents, int32 [Z], of an area of latents of `strength` standard deviations, of either sign."""
    y, x, channel = np.ogrid[:12, :12, : networks.channels]
    signs = np.where((3 * y + 5 * x + channel * (channel + 1) // 2) % 2, np.float32(1), np.float32(-1))
    z = networks.analyse_hyper(np.ascontiguousarray(strength * signs, np.float32)[None], rate_index)
    busy: npt.NDArray[np.int32] = z[0, 1, 1]
    return busy
