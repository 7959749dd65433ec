"""The transforms over whole images of any size: window by window, each with a halo of what its result can depend on.

The memory needed grows with the window, not with the image, and no seam can show.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .config import HYPER_PATCH, PATCH
from .frozen import FrozenModel

Pixels = npt.NDArray[np.uint8]

WINDOW = 64
"""Latent positions to a side of a window: 1024 pixels."""


def pad(pixels: Pixels) -> Pixels:
    """uint8 [H, W, 3] -> the same with its last row and column repeated up to multiples of 64."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, -height % HYPER_PATCH), (0, -width % HYPER_PATCH), (0, 0)), mode="edge")


def crop(pixels: Pixels, height: int, width: int) -> Pixels:
    """Inverse of `pad`."""
    return pixels[:height, :width]


def analyse(model: FrozenModel, pixels: Pixels, row: int) -> Tensor:
    """Padded pixels uint8 [H, W, 3] -> latents in standard deviations, float32 [1, H/16, W/16, M]."""
    height, width = pixels.shape[0] // PATCH, pixels.shape[1] // PATCH
    device = model.sigma.device
    latents = torch.empty(1, height, width, model.config.latent_channels, device=device)
    halo = model.config.halo
    for (top, bottom), (left, right) in _windows(height, width):
        above, before = min(halo, top), min(halo, left)
        part = pixels[PATCH * (top - above) : PATCH * (bottom + halo), PATCH * (left - before) : PATCH * (right + halo)]
        x = torch.from_numpy(np.ascontiguousarray(part)).to(device)[None].float() / 255 - 0.5
        y = model.analyse(x, row)
        latents[:, top:bottom, left:right] = y[:, above:, before:][:, : bottom - top, : right - left]
    return latents


def synthesise(model: FrozenModel, latents: Tensor, row: int) -> Pixels:
    """Latents int32 [1, h, w, M] in sixteenths of a step -> pixels uint8 [16h, 16w, 3]."""
    height, width = latents.shape[1:3]
    pixels = np.empty((PATCH * height, PATCH * width, 3), np.uint8)
    halo = model.config.halo
    for (top, bottom), (left, right) in _windows(height, width):
        above, before = min(halo, top), min(halo, left)
        x = model.synthesise(latents[:, top - above : bottom + halo, left - before : right + halo], row)
        x = x[0, PATCH * above :, PATCH * before :][: PATCH * (bottom - top), : PATCH * (right - left)]
        values = (x + 0.5).mul_(255).round_().clamp_(0, 255).byte().cpu().numpy()
        pixels[PATCH * top : PATCH * bottom, PATCH * left : PATCH * right] = values
    return pixels


def _windows(height: int, width: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """((top, bottom), (left, right)) of each window."""
    for top in range(0, height, WINDOW):
        for left in range(0, width, WINDOW):
            yield (top, min(top + WINDOW, height)), (left, min(left + WINDOW, width))
