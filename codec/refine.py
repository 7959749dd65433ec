"""Effort: latents chosen for one picture by what the decoder makes of them and what they cost.

The analysis transform and rounding decide on each latent by itself. Here the decoder's answer counts: proximal gradient
descent (ISTA; Daubechies, Defrise and De Mol 2004) with momentum on bits + lambda * 255^2 * MSE * pixels. In turn,
latents move against the gradient of the distortion, through the synthesis transform, and are quantised again by rate
and distortion, which is the step that knows what they cost. Files stay what they are: any decoder reads them, at the
same speed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..bitstream.container import Header, Rectangle, Tile, latent_size
from .coder import TileCoder
from .config import LATENT_FRACTION, PATCH, ROUNDS
from .distortion import squared_error
from .frozen import FrozenModel, row_rate
from .windows import Pixels, analyse, cut

LUMA_SHARE = 0.8
"""Of the luma's error in the distortion, beside that of RGB, as in training."""

STEP = 0.7
MOMENTUM = 0.3
"""With a step of 1 the latents would go to where the distortion is least, were the synthesis orthonormal. It is nearly
so: steps of 1 without momentum can diverge at high rates, and these two gain more in as many rounds."""


@torch.inference_mode(False)
@torch.no_grad()
def encode(coder: TileCoder, pixels: Pixels, header: Header, area: Rectangle, effort: int) -> Tile:
    """The record of a tile of an image, uint8 [H, W, 3] or [H, W], at an effort from 1 to 9: the best of its rounds."""
    model, row, rounds = coder.model, header.row, ROUNDS[effort - 1]
    if not rounds:
        return coder.encode(*coder.quantise(analyse(model, pixels, row, area), row))
    # The pixels of the tile depend on latents as far as the halo around it; those stay what the analysis gives. What
    # its own do to pixels around it is left out: a quarter more time would change sizes by less than 0.01 %.
    outer = _grown(area, model.config.halo, Rectangle(0, 0, *latent_size(header)))
    known = analyse(model, pixels, row, outer)
    y = _part(known, area, outer).clone()
    z = model.analyse_hyper(y, row)
    # A sixteenth of a step in standard deviations, and what takes a gradient with respect to sixteenths of a step to
    # the distance from the optimum.
    unit = 1 / (LATENT_FRACTION * model.unit[row])
    scale = 1.5 / (255 * model.sigma).square() / unit
    price = model.config.rate_weight(row_rate(row))
    latents = known / unit
    velocity = torch.zeros_like(y)
    best: tuple[float, Tile] | None = None
    for number in range(rounds + 1):
        steps, decoded = coder.quantise(y, row, z)
        tile = coder.encode(steps, decoded)
        _part(latents, area, outer).copy_(decoded)
        error, gradient = _distortion(model, pixels, row, latents, outer, area, slope=number < rounds)
        cost = 8 * len(tile.payload) + price * error
        if best is None or cost < best[0]:
            best = cost, tile
        if gradient is not None:
            target = decoded * unit - scale * gradient
            velocity = MOMENTUM * velocity + STEP * (target - y)
            y = y + velocity
    assert best is not None
    return best[1]


def _distortion(
    model: FrozenModel, pixels: Pixels, row: int, latents: Tensor, outer: Rectangle, area: Rectangle, *, slope: bool
) -> tuple[float, Tensor | None]:
    """The squared errors of the decoder's pixels of an area, in levels and as `squared_error` has them, summed; with
    `slope` the gradient with respect to the latents of the area, float32 [1, h, w, M]: that of the floating-point
    synthesis, as integers have none.

    latents: float32 [1, h, w, M] of the outer area, in sixteenths of a step. What is padded is no error.
    """
    device = latents.device
    rows, columns = (area.top, area.top + area.height), (area.left, area.left + area.width)
    original = torch.from_numpy(cut(pixels, rows, columns)).to(device)
    height = min(PATCH * area.height, pixels.shape[0] - PATCH * area.top)
    width = min(PATCH * area.width, pixels.shape[1] - PATCH * area.left)

    def measured(pixels: Tensor) -> Tensor:
        x = pixels[0, PATCH * (area.top - outer.top) :, PATCH * (area.left - outer.left) :][:height, :width]
        return squared_error(x.clamp(0, 255) - original[:height, :width], LUMA_SHARE).sum(dtype=torch.float64)

    error = float(measured(model.synthesise(latents.int(), row).round()))
    if not slope:
        return error, None
    rate = torch.tensor([row_rate(row)], device=device)
    latents = latents.clone().requires_grad_()
    with torch.enable_grad():
        floating = measured(model.synthesis.levels(latents, model.restore[row], rate, model.sigma))
    return error, _part(torch.autograd.grad(floating, latents)[0], area, outer)


def _grown(part: Rectangle, margin: int, limits: Rectangle) -> Rectangle:
    """A rectangle with a margin all round, as far as the limits allow."""
    top, left = max(part.top - margin, limits.top), max(part.left - margin, limits.left)
    bottom = min(part.top + part.height + margin, limits.top + limits.height)
    right = min(part.left + part.width + margin, limits.left + limits.width)
    return Rectangle(top, left, bottom - top, right - left)


def _part(x: Tensor, inner: Rectangle, outer: Rectangle) -> Tensor:
    """The view of a rectangle in what is [1, h, w, C] of another around it."""
    top, left = inner.top - outer.top, inner.left - outer.left
    return x[:, top : top + inner.height, left : left + inner.width]
