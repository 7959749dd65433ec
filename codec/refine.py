"""Effort: latents chosen for one picture by what the decoder makes of them and what they cost.

The analysis transform and rounding decide on each latent by itself. Here the decoder's answer counts: proximal gradient
descent (ISTA; Daubechies, Defrise and De Mol 2004) with momentum on bits + lambda * 255^2 * MSE * pixels. In turn,
latents move against the gradient of the distortion, through the synthesis transform, and are quantised again by rate
and distortion, which is the step that knows what they cost. Files stay what they are: any decoder reads them, at the
same speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..bitstream.container import Header, Rectangle, latent_size
from ..bitstream.entropy import encode_steps
from .config import LATENT_FRACTION, PATCH, ROUNDS
from .frozen import UNIT_ONE, row_rate
from .windows import cut

if TYPE_CHECKING:
    from .pipeline import Codec, Pixels

STEP = 0.7
MOMENTUM = 0.3
"""With a step of 1 the latents would go to where the distortion is least, were the synthesis orthonormal. It is nearly
so: steps of 1 without momentum can diverge at high rates, and these two gain more in as many rounds."""

WINDOW = 48
"""Largest part that gradients are computed for at a time, in latent positions to a side: 300 MB."""


@torch.inference_mode(False)
@torch.no_grad()
def quantise(codec: Codec, pixels: Pixels, header: Header, tile: Rectangle, effort: int) -> tuple[bytes, Tensor]:
    """A tile of an image, uint8 [H, W, 3] or [H, W], at an effort from 1 to 9: the payload, and what it decodes to,
    int32 [1, h, w, M] in sixteenths of a step. The best of the effort's rounds is taken.
    """
    model, row, rounds = codec.model, header.row, ROUNDS[effort - 1]
    if not rounds:
        steps, decoded = codec.quantise(codec.analyse(pixels, row, tile), row)
        return encode_steps(codec.tables, steps), decoded
    halo = model.config.halo
    # The latents of the tile show in pixels as far as the halo around it, on which latents as far again bear; those
    # stay what the analysis gives.
    image = Rectangle(0, 0, *latent_size(header))
    judged = _grown(tile, halo, image)
    outer = _grown(judged, halo, image)
    known = codec.analyse(pixels, row, outer)
    y = _part(known, tile, outer).clone()
    z = model.analyse_hyper(y, row)
    # A sixteenth of a step in standard deviations, and what takes a gradient with respect to sixteenths of a step to
    # the distance from the optimum.
    unit = (UNIT_ONE / LATENT_FRACTION / model.unit[row].double()).float()
    scale = 0.5 / (255 * model.sigma).square() / unit
    price = model.config.rate_weight(row_rate(row)) / 3  # MSE is a mean over three colours
    latents = known / unit
    velocity = torch.zeros_like(y)
    best: tuple[float, bytes, Tensor] | None = None
    for number in range(rounds + 1):
        steps, decoded = codec.quantise(y, row, z)
        payload = encode_steps(codec.tables, steps)
        _part(latents, tile, outer).copy_(decoded)
        error, gradient = _distortion(codec, pixels, row, latents, outer, judged, slope=number < rounds)
        cost = 8 * len(payload) + price * error
        if best is None or cost < best[0]:
            best = cost, payload, decoded
        target = decoded * unit - scale * _part(gradient, tile, outer)
        velocity = MOMENTUM * velocity + STEP * (target - y)
        y = y + velocity
    assert best is not None
    return best[1:]


def _distortion(
    codec: Codec, pixels: Pixels, row: int, latents: Tensor, outer: Rectangle, judged: Rectangle, *, slope: bool
) -> tuple[float, Tensor]:
    """The squared errors of the pixels of an area, in levels, summed; with `slope` their gradient, otherwise 0.

    latents: float32 [1, h, w, M] of the outer area, in sixteenths of a step; the gradient is like them. What is padded
    is no error.
    """
    model = codec.model
    rate = torch.tensor([row_rate(row)], device=codec.device)
    gradient = torch.zeros_like(latents)
    total = 0.0
    for window in _windows(judged):
        height = min(PATCH * window.height, pixels.shape[0] - PATCH * window.top)
        width = min(PATCH * window.width, pixels.shape[1] - PATCH * window.left)
        if min(height, width) <= 0:
            continue
        around = _grown(window, model.config.halo, outer)
        part = _part(latents, around, outer).clone().requires_grad_(slope)
        rows, columns = (window.top, window.top + window.height), (window.left, window.left + window.width)
        original = torch.from_numpy(cut(pixels, rows, columns)).to(codec.device)
        with torch.set_grad_enabled(slope):
            x = model.synthesis.levels(part, model.restore[row], rate, model.sigma)[0]
            x = x[PATCH * (window.top - around.top) :, PATCH * (window.left - around.left) :]
            error = (x[:height, :width].clamp(0, 255) - original[:height, :width]).square().sum(dtype=torch.float64)
        total += float(error.detach())
        if slope:
            _part(gradient, around, outer).add_(torch.autograd.grad(error, part)[0])
    return total, gradient


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


def _windows(area: Rectangle) -> Iterator[Rectangle]:
    """Parts of about equal size, at most WINDOW to a side, that cover an area."""
    height, width = (-(-side // -(-side // WINDOW)) for side in (area.height, area.width))
    for top in range(area.top, area.top + area.height, height):
        for left in range(area.left, area.left + area.width, width):
            yield _grown(Rectangle(top, left, height, width), 0, area)
