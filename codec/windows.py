"""The transforms over whole images of any size: window by window, each with a halo of what its result can depend on.

The memory needed grows with the window, not with the image, and no seam can show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..bitstream.container import Rectangle
from .config import HYPER_PATCH, PATCH
from .frozen import FrozenModel
from .image import to_rgb
from .layers import joined

Pixels = npt.NDArray[np.uint8]

WINDOW = 64
"""Latent positions to a side of a window: 1024 pixels."""


def analyse(model: FrozenModel, pixels: Pixels, row: int, area: Rectangle | None = None) -> Tensor:
    """The latents of an area of an image (all of it if None), in standard deviations: float32 [1, h, w, M].

    pixels: uint8 [H, W, 3], or [H, W] for grey. They are padded to multiples of 64 by repeating the last row and
    column; the area is within the padded image.
    """
    height, width = (-(-side // HYPER_PATCH) * HYPER_PATCH // PATCH for side in pixels.shape[:2])
    area = area or Rectangle(0, 0, height, width)
    device = model.sigma.device
    latents = torch.empty(1, area.height, area.width, model.config.latent_channels, device=device)
    halo = model.config.halo
    for top, bottom in _spans(area.top, area.top + area.height):
        for left, right in _spans(area.left, area.left + area.width):
            above, before = min(halo, top), min(halo, left)
            part = cut(pixels, (top - above, min(bottom + halo, height)), (left - before, min(right + halo, width)))
            y = model.analyse(torch.from_numpy(part).to(device)[None].float() / 255 - 0.5, row)
            y = y[:, above:, before:][:, : bottom - top, : right - left]
            latents[:, top - area.top : bottom - area.top, left - area.left : right - area.left] = y
    return latents


def _kept(area: Rectangle) -> bool:
    """Nothing is lost."""
    return False


def synthesise(
    model: FrozenModel,
    bands: Iterable[Tensor],
    row: int,
    origin: tuple[int, int] = (0, 0),
    lost: Callable[[Rectangle], bool] = _kept,
) -> Iterator[Pixels]:
    """An area of the padded image from the top to the bottom, in parts uint8 [16n, 16w, 3].

    bands: its latents likewise, int32 [1, h, w, M] in sixteenths of a step. No more than a band is kept, with what
    its neighbours need of it. origin: where in the image they begin, row and column. lost: whether the pixels of some
    of the image's latents are not wanted; no time is spent on those.
    """
    halo = model.config.halo
    done, left = origin
    bands = iter(bands)
    kept = [next(bands)]
    above = 0  # rows of `kept` that are only there for those below
    for band in bands:
        # A row is complete where all that it depends on is there; whole windows of them are worth the halo.
        ready = sum(part.shape[1] for part in kept) - above - halo + min(halo, band.shape[1])
        ready -= ready % WINDOW
        kept.append(band)
        if ready > 0:
            rows = joined(kept, dim=1)
            yield from _synthesise_rows(model, rows, above, above + ready, row, (done - above, left), lost)
            drop = max(above + ready - halo, 0)
            kept, above, done = [rows[:, drop:]], above + ready - drop, done + ready
    rows = joined(kept, dim=1)
    yield from _synthesise_rows(model, rows, above, rows.shape[1], row, (done - above, left), lost)


def _synthesise_rows(
    model: FrozenModel,
    latents: Tensor,
    start: int,
    end: int,
    row: int,
    origin: tuple[int, int],
    lost: Callable[[Rectangle], bool],
) -> Iterator[Pixels]:
    """The pixels of the latent rows from `start` to `end`, a row of windows at a time."""
    width, halo = latents.shape[2], model.config.halo
    for top, bottom in _spans(start, end):
        pixels = np.zeros((PATCH * (bottom - top), PATCH * width, 3), np.uint8)
        above = min(halo, top)
        for left, right in _spans(0, width):
            if lost(Rectangle(origin[0] + top, origin[1] + left, bottom - top, right - left)):
                continue
            before = min(halo, left)
            x = model.synthesise(latents[:, top - above : bottom + halo, left - before : right + halo], row)
            x = x[0, PATCH * above :, PATCH * before :][: PATCH * (bottom - top), : PATCH * (right - left)]
            # By way of int16: straight to uint8 takes three times as long.
            pixels[:, PATCH * left : PATCH * right] = x.round().clamp_(0, 255).short().byte().cpu().numpy()
        yield pixels


def cut(pixels: Pixels, rows: tuple[int, int], columns: tuple[int, int]) -> Pixels:
    """A part of the padded image, its borders in latent positions: uint8 [H, W, 3], contiguous, a copy."""
    (top, bottom), (left, right) = rows, columns
    part = to_rgb(pixels[PATCH * top : PATCH * bottom, PATCH * left : PATCH * right])
    below, after = PATCH * (bottom - top) - part.shape[0], PATCH * (right - left) - part.shape[1]
    if below or after:
        part = np.pad(part, ((0, below), (0, after), (0, 0)), mode="edge")
    return np.array(part, order="C")


def _spans(start: int, end: int) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of each window along one axis."""
    for first in range(start, end, WINDOW):
        yield first, min(first + WINDOW, end)
