"""Latents of whole images of any size, or of areas of them: window by window, each with a halo of what its latents can
depend on. The memory needed grows with the window, not with the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...bitstream.container import Rectangle
from ..backends.interface import Networks
from ..decode.synthesis_windows import spans
from ..image.picture import to_rgb
from ..model.arrays import Floats, Pixels
from ..model.config import HYPER_PATCH, PATCH


def analyse(networks: Networks, images: Sequence[Pixels], rate_index: int, area: Rectangle | None = None) -> Floats:
    """The latents of an area of each of B images (all of it if None), in standard deviations: float32 [B, h, w, M].

    images: of one shape, uint8 [H, W, 3], or [H, W] for grey. They are padded to multiples of 64 by repeating the last
    row and column; the area is within the padded image.
    """
    height, width = (-(-side // HYPER_PATCH) * HYPER_PATCH // PATCH for side in images[0].shape[:2])
    area = area or Rectangle(0, 0, height, width)
    latents = np.empty((len(images), area.height, area.width, networks.channels), np.float32)
    halo = networks.halo
    for top, bottom in spans(area.top, area.top + area.height):
        for left, right in spans(area.left, area.left + area.width):
            above, before = min(halo, top), min(halo, left)
            part = cut(images, (top - above, min(bottom + halo, height)), (left - before, min(right + halo, width)))
            y = networks.analyse(part, rate_index)
            y = y[:, above:, before:][:, : bottom - top, : right - left]
            latents[:, top - area.top : bottom - area.top, left - area.left : right - area.left] = y
    return latents


def cut(images: Sequence[Pixels], rows: tuple[int, int], columns: tuple[int, int]) -> Pixels:
    """A part of each padded image, its borders in latent positions: uint8 [B, H, W, 3], contiguous, a copy."""
    return np.stack([_cut(pixels, *rows, *columns) for pixels in images])


def _cut(pixels: Pixels, top: int, bottom: int, left: int, right: int) -> Pixels:
    """uint8 [H, W, 3]."""
    part = to_rgb(pixels[PATCH * top : PATCH * bottom, PATCH * left : PATCH * right])
    below, after = PATCH * (bottom - top) - part.shape[0], PATCH * (right - left) - part.shape[1]
    if below or after:
        part = np.pad(part, ((0, below), (0, after), (0, 0)), mode="edge")
    return part
