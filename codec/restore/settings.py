"""How a picture is to be restored, and what is recognised in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...bitstream.errors import InputError
from ..image.jpeg import quantisation
from ..image.picture import Picture
from ..model.arrays import Pixels
from .restorer import Restorer
from .strength import jpeg_strength, noise_strength

MOST_NOISE = 50.0
"""The strongest noise that can be asked for, a standard deviation in levels: training had no stronger one often."""

LEAST_NOISE = 1.0
"""Noise that is measured to be weaker, in levels, is not counted: a clean picture stays as it is."""

LEAST_JPEG = 1.5
"""Compression by JPEG below this strength, in levels, as at quality 95, is not counted: it cannot be seen."""


class Found(NamedTuple):
    """The strengths of what is to be undone, in levels: the standard deviation of noise, and the root mean squared
    error of compression by JPEG."""

    noise: float
    jpeg: float

    @property
    def strength(self) -> float:
        """The strength of both together."""
        return math.hypot(self.noise, self.jpeg)

    def __str__(self) -> str:
        parts = [f"noise {self.noise:.1f}"] if self.noise else []
        parts += [f"JPEG {self.jpeg:.1f}"] if self.jpeg else []
        return " and ".join(parts) or "nothing"


@dataclass(frozen=True)
class RestoreOptions:
    """What is to be undone. Raises InputError for what is out of range.

    noise: its standard deviation in levels, 0 to 50, None for what is measured in the picture. jpeg: whether
    compression by JPEG is undone, as strong as the file's own tables say. strength: 0 (the picture as it is) to 1
    (restored), and what is between is a mean of both."""

    noise: float | None = None
    jpeg: bool = True
    strength: float = 1.0

    def __post_init__(self) -> None:
        if self.noise is not None and not 0 <= self.noise <= MOST_NOISE:
            raise InputError(f"noise is a standard deviation from 0 to {MOST_NOISE:g} levels, not {self.noise:g}")
        if not 0 <= self.strength <= 1:
            raise InputError(f"a strength is from 0 to 1, not {self.strength:g}")


def recognise(pixels: Pixels, data: bytes, options: RestoreOptions) -> Found:
    """What is to be undone in a picture, uint8 [H, W, 3] or [H, W], of a file with this content."""
    noise = options.noise
    if noise is None:
        measured = noise_strength(pixels)
        noise = measured if measured >= LEAST_NOISE else 0.0
    table = quantisation(data) if options.jpeg else None
    jpeg = jpeg_strength(table) if table else 0.0
    return Found(noise, jpeg if jpeg >= LEAST_JPEG else 0.0)


def mask_of(picture: Picture, width: int, height: int) -> npt.NDArray[np.bool_]:
    """The missing pixels, bool [height, width], that the picture of a mask says: those at least half bright. Raises
    InputError for a mask of another size, or of all pixels."""
    if (picture.width, picture.height) != (width, height):
        raise InputError(f"the mask has {picture.width}x{picture.height} pixels, the picture {width}x{height}")
    values = picture.pixels if picture.grey else picture.pixels.max(axis=-1)
    missing: npt.NDArray[np.bool_] = values >= 128
    if missing.all():
        raise InputError("the mask leaves nothing of the picture")
    return missing


def restore(
    restorer: Restorer,
    pixels: Pixels,
    found: Found,
    options: RestoreOptions,
    missing: npt.NDArray[np.bool_] | None = None,
) -> Pixels:
    """The restored pixels of a picture, uint8 [H, W, 3] or [H, W]: as `Restorer.restore` makes them, mixed with those
    that were there by the options' strength. Missing ones are made anew whatever that is."""
    restored = restorer.restore(pixels, found.strength, missing)
    if options.strength == 1:
        return restored
    share = np.float32(options.strength)
    mixed = np.rint(pixels + share * (restored.astype(np.float32) - pixels)).astype(np.uint8)
    if missing is None:
        return mixed
    return np.where(missing if pixels.ndim == 2 else missing[..., None], restored, mixed)
