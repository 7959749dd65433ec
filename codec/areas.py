"""Latents of whole images of any size, or of areas of them: window by window, each with a halo of what its latents can
depend on. The memory needed grows with the window, not with the image.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..bitstream.container import Rectangle
from .config import HYPER_PATCH, PATCH
from .frozen import FrozenModel
from .image import to_rgb
from .windows import Pixels, spans


def analyse(model: FrozenModel, pixels: Pixels, row: int, area: Rectangle | None = None) -> Tensor:
    """The latents of an area of an image (all of it if None), in standard deviations: float32 [1, h, w, M].

    pixels: uint8 [H, W, 3], or [H, W] for grey. They are padded to multiples of 64 by repeating the last row and
    column; the area is within the padded image.
    """
    height, width = (-(-side // HYPER_PATCH) * HYPER_PATCH // PATCH for side in pixels.shape[:2])
    area = area or Rectangle(0, 0, height, width)
    device = model.unit.device
    latents = torch.empty(1, area.height, area.width, model.config.latent_channels, device=device)
    halo = model.config.halo
    for top, bottom in spans(area.top, area.top + area.height):
        for left, right in spans(area.left, area.left + area.width):
            above, before = min(halo, top), min(halo, left)
            part = cut(pixels, (top - above, min(bottom + halo, height)), (left - before, min(right + halo, width)))
            y = model.analyse(torch.from_numpy(part).to(device)[None], row)
            y = y[:, above:, before:][:, : bottom - top, : right - left]
            latents[:, top - area.top : bottom - area.top, left - area.left : right - area.left] = y
    return latents


def cut(pixels: Pixels, rows: tuple[int, int], columns: tuple[int, int]) -> Pixels:
    """A part of the padded image, its borders in latent positions: uint8 [H, W, 3], contiguous, a copy."""
    (top, bottom), (left, right) = rows, columns
    part = to_rgb(pixels[PATCH * top : PATCH * bottom, PATCH * left : PATCH * right])
    below, after = PATCH * (bottom - top) - part.shape[0], PATCH * (right - left) - part.shape[1]
    if below or after:
        part = np.pad(part, ((0, below), (0, after), (0, 0)), mode="edge")
    return np.array(part, order="C")
