"""Degradations that restoration learns to undo: noise, compression by JPEG, missing pixels, and mixtures of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..image.fill import fill
from ..model.arrays import Pixels
from .augment import through_jpeg
from .content import to_bytes

Random = np.random.Generator

KINDS = ("nothing", "noise", "JPEG", "noise and JPEG", "holes")
SHARES = (0.07, 0.45, 0.33, 0.1, 0.05)
"""What is done to a crop, and how often."""

NOISE = 1.0, 60.0
"""Standard deviations of noise, in levels, least and most: the logarithm is evenly spread."""

QUALITIES = 5, 95
"""JPEG's qualities, least and most."""


def degrade(pixels: Pixels, random: Random) -> Pixels:
    """A degraded copy of a crop, uint8 [S, S, 3]."""
    kind = KINDS[random.choice(len(KINDS), p=SHARES)]
    if kind == "holes":
        missing = _scratches(len(pixels), random) if random.random() < 0.6 else _specks(len(pixels), random)
        return fill(pixels, missing)
    if kind.startswith("noise"):
        pixels = _noisy(pixels, random)
    return _compressed(pixels, random) if kind.endswith("JPEG") else pixels


def _noisy(pixels: Pixels, random: Random) -> Pixels:
    """Adds Gaussian noise: of colours, of grey, or one that grows with the signal, as a sensor's does."""
    deviation = float(np.exp(random.uniform(*np.log(NOISE))))
    x = pixels.astype(np.float32)
    kind = random.random()
    noise = random.standard_normal((*x.shape[:2], 1 if kind < 0.15 else 3), np.float32)
    # Of a sensor's noise half of the variance is the signal's at the middle of the range.
    scale = np.sqrt(0.5 + x / 255) if kind > 0.8 else 1
    return to_bytes(x + deviation * scale * noise)


def _compressed(pixels: Pixels, random: Random) -> Pixels:
    """Compresses a crop by JPEG and decodes it, its 8x8 grid at the crop's corner or, one time in four, elsewhere."""
    down, right = (int(v) for v in random.integers(0, 8, 2)) if random.random() < 0.25 else (0, 0)
    subsampling = int(random.choice([0, 2]))
    return through_jpeg(pixels, down, right, int(random.integers(*QUALITIES)), subsampling)


def _scratches(size: int, random: Random) -> npt.NDArray[np.bool_]:
    """Up to twelve strokes, 1 to 5 pixels wide: bool [size, size]."""
    missing = np.zeros((size, size), bool)
    rows, columns = np.mgrid[:size, :size]
    for _ in range(random.integers(2, 13)):
        (top, bottom), (left, right) = random.uniform(0, size, (2, 2))
        length = max(np.hypot(bottom - top, right - left), 1)
        along = ((rows - top) * (bottom - top) + (columns - left) * (right - left)) / length
        aside = ((rows - top) * (right - left) - (columns - left) * (bottom - top)) / length
        missing |= (abs(aside) < random.uniform(0.5, 2.5)) & (along >= 0) & (along <= length)
    return missing


def _specks(size: int, random: Random) -> npt.NDArray[np.bool_]:
    """Single pixels at random places, up to half of all: bool [size, size]."""
    return random.random((size, size)) < random.uniform(0.05, 0.5)
