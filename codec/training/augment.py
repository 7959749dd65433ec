"""Augmentation by what pictures go through before somebody compresses them: they are enlarged, recoloured, compressed,
posterised, noisy.

Training crops are photographs made smaller, sharp and clean. Networks that saw nothing else got wrong the smooth areas
of enlarged pictures, saturated and dark ones, blocks of old compression.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..model.arrays import Pixels
from ..model.distortion import LUMA
from .content import to_bytes

Random = np.random.Generator
Change = Callable[[Pixels, Random], Pixels]


def change(pixels: Pixels, random: Random) -> Pixels:
    """Changes a crop, uint8 [S, S, 3], in one way or two, chosen by SHARES."""
    for _ in range(1 + (random.random() < 0.3)):
        pixels = CHANGES[random.choice(len(CHANGES), p=SHARES)](pixels, random)
    return pixels


def _enlarge(pixels: Pixels, random: Random) -> Pixels:
    """Enlarges a part of a crop, 1.5 to 8 times."""
    size = len(pixels)
    side = max(int(size / random.choice([1.5, 2, 2, 3, 4, 6, 8])), 8)
    top, left = (int(v) for v in random.integers(0, size - side + 1, 2))
    method = random.choice([Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
    part = Image.fromarray(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return np.asarray(part.resize((size, size), Image.Resampling(int(method))))


def _recolour(pixels: Pixels, random: Random) -> Pixels:
    """Changes saturation, and sometimes gamma and the weights of the colours."""
    x = pixels.astype(np.float32)
    luma = x @ np.array(LUMA, np.float32)
    x = luma[..., None] + random.choice([0.0, 0.5, 1.5, 2.5, 4.0]) * (x - luma[..., None])
    if random.random() < 0.5:
        x = 255 * (x.clip(0, 255) / 255) ** random.choice([0.4, 0.6, 1.5, 2.5, 4.0])
    if random.random() < 0.5:
        x *= random.uniform(0.1, 1.3, 3)
    return to_bytes(x)


def _recompress(pixels: Pixels, random: Random) -> Pixels:
    """Compresses a crop by JPEG, so that it is hardly visible or shows blocks, with the block grid at any offset."""
    down, right = (int(v) for v in random.integers(0, 8, 2))
    return through_jpeg(pixels, down, right, int(random.integers(8, 75)), int(random.choice([0, 2])))


def through_jpeg(pixels: Pixels, down: int, right: int, quality: int, subsampling: int) -> Pixels:
    """A crop, uint8 [S, S, 3], compressed by JPEG and decoded. down, right: 0..7, where the crop begins in the grid of
    8x8 pixels. quality, subsampling: as Pillow takes them."""
    shifted = Image.fromarray(np.pad(pixels, ((down, 0), (right, 0), (0, 0)), mode="edge"))
    file = io.BytesIO()
    shifted.save(file, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(file) as image:
        return np.asarray(image)[down:, right:]


def _posterise(pixels: Pixels, random: Random) -> Pixels:
    """Rounds a crop to 4 to 48 levels."""
    step = 255 / (random.choice([4, 6, 8, 12, 16, 24, 32, 48]) - 1)
    return to_bytes(np.rint(pixels / step) * step)


def _add_noise(pixels: Pixels, random: Random) -> Pixels:
    """Adds Gaussian noise, of grey, of colours, or both."""
    x = pixels.astype(np.float32)
    strength = random.choice([0.7, 1.5, 3, 6, 12, 25])
    x += random.normal(0, strength, (*x.shape[:2], 1)) * (random.random() < 0.8)
    x += random.normal(0, strength * random.random(), x.shape)
    return to_bytes(x)


CHANGES: tuple[Change, ...] = (_enlarge, _recolour, _recompress, _posterise, _add_noise)
SHARES: npt.NDArray[np.float64] = np.array([0.4, 0.25, 0.2, 0.05, 0.1])
"""The probability of each of CHANGES."""
