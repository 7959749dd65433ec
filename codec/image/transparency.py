"""Colours under fully transparent pixels, which nobody sees: smooth ones take fewer bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .picture import Picture


def clear_transparent(picture: Picture) -> Picture:
    """A picture with smooth colours under its fully transparent pixels: nobody sees them, and edges would cost bits.

    Each takes the mean of what is visible around it, from the finest of a pyramid of halved images that has any.
    """
    if picture.alpha is None or picture.alpha.all() or not picture.alpha.any():
        return picture
    visible = picture.alpha > 0
    values = picture.pixels.reshape(*visible.shape, -1).astype(np.float32)
    filled = _fill(values * visible[..., None], visible.astype(np.float32))
    pixels = np.where(visible[..., None], picture.pixels.reshape(filled.shape), filled.round().astype(np.uint8))
    return replace(picture, pixels=pixels.reshape(picture.pixels.shape))


def _fill(sums: npt.NDArray[np.float32], weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means, float32 [H, W, C], of sums over pixels and their weights; where nothing weighs, those of the image of half
    the size.

    sums: float32 [H, W, C] over pixels that weigh something; weights: float32 [H, W].
    """
    known = weights > 0
    values = (sums / np.maximum(weights, 1)[..., None]).astype(np.float32)
    if known.all():
        return values
    height, width = weights.shape
    below, after = height % 2, width % 2
    sums = np.pad(sums, ((0, below), (0, after), (0, 0)))
    weights = np.pad(weights, ((0, below), (0, after)))
    coarse = _fill(
        sums[::2, ::2] + sums[::2, 1::2] + sums[1::2, ::2] + sums[1::2, 1::2],
        weights[::2, ::2] + weights[::2, 1::2] + weights[1::2, ::2] + weights[1::2, 1::2],
    )
    wide = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return np.where(known[..., None], values, wide)
