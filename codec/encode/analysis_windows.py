"""Latents of whole images of any size, or of areas of them: window by window, each with a halo of what its latents can
depend on. The memory needed grows with the window, not with the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...bitstream.rectangle import Rectangle
from ..backends.batching import windows
from ..backends.interface import Networks
from ..image.picture import to_rgb
from ..model.arrays import Floats, Pixels
from ..model.config import HYPER_PATCH, PATCH


def analyse(networks: Networks, images: Sequence[Pixels], rate_index: int, area: Rectangle | None = None) -> Floats:
    """The latents of each of B images, in standard deviations: float32 [B, h, w, M].

    images: of one shape, uint8 [H, W, 3], or [H, W] for grey. They are padded to multiples of 64 by repeating the last
    row and column. area: in latent positions, within the padded image; None is all of it.
    """
    height, width = (-(-side // HYPER_PATCH) * HYPER_PATCH // PATCH for side in images[0].shape[:2])
    whole = Rectangle(0, 0, height, width)
    area = area or whole
    latents = np.empty((len(images), area.height, area.width, networks.channels), np.float32)
    for window in windows(area):
        outer = window.grown(networks.halo, whole)
        y = networks.analyse(cut(images, outer), rate_index)
        latents[:, *window.within(area)] = y[:, *window.within(outer)]
    return latents


def cut(images: Sequence[Pixels], area: Rectangle) -> Pixels:
    """The pixels of an area, in latent positions, of each padded image: uint8 [B, H, W, 3], contiguous, a copy."""
    return np.stack([_cut(pixels, area.scaled(PATCH)) for pixels in images])


def _cut(pixels: Pixels, area: Rectangle) -> Pixels:
    """An area, in pixels, of an image whose last row and column are repeated: uint8 [H, W, 3]."""
    part = to_rgb(pixels[area.top : area.bottom, area.left : area.right])
    below, after = area.height - part.shape[0], area.width - part.shape[1]
    if below or after:
        part = np.pad(part, ((0, below), (0, after), (0, 0)), mode="edge")
    return part
