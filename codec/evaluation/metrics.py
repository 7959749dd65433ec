"""Distortion of decoded images and Bjontegaard deltas between rate-distortion curves."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.interpolate import PchipInterpolator

Pixels = npt.NDArray[np.uint8]

JPEG_QUALITIES = range(5, 100, 5)


class Point(NamedTuple):
    """A point of a rate-distortion curve: bits per pixel of whole files, PSNR in dB."""

    bpp: float
    psnr: float


def psnr(original: Pixels, decoded: Pixels) -> float:
    """Peak signal-to-noise ratio over all channels of two uint8 images, in dB; infinite if they are equal."""
    mse = np.mean((original.astype(np.float64) - decoded.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / mse)) if mse else float("inf")


def bd_rate(anchor: Sequence[Point], test: Sequence[Point]) -> float:
    """Mean difference in rate of `test` against `anchor` at equal PSNR, in percent; negative is better.

    Piecewise cubic (PCHIP) interpolation of log rate over PSNR, the mean over the range that both curves cover
    (G. Bjontegaard, VCEG-M33, with the interpolation of the later JCT-VC common test conditions).
    Raises ValueError where the curves do not overlap or do not rise.
    """
    curves = []
    for points in (anchor, test):
        rates, values = np.array(sorted(points, key=lambda point: point.psnr)).T
        if np.any(np.diff(values) <= 0):
            raise ValueError("two points of a curve have the same PSNR")
        curves.append((values, PchipInterpolator(values, np.log(rates))))
    low = max(values[0] for values, _ in curves)
    high = min(values[-1] for values, _ in curves)
    if low >= high:
        raise ValueError("the curves do not overlap")
    first, second = (float(curve.integrate(low, high)) for _, curve in curves)
    return float(100 * (np.exp((second - first) / (high - low)) - 1))


def jpeg_point(pixels: Pixels, quality: int) -> Point:
    """The reference JPEG, what a careful user writes: Pillow, 4:2:0, optimised, progressive."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:2:0", optimize=True, progressive=True)
    with Image.open(buffer) as decoded:
        return Point(8 * buffer.getbuffer().nbytes / pixels[..., 0].size, psnr(pixels, np.asarray(decoded)))


def mean_point(points: Sequence[Point]) -> Point:
    """Mean over images, of rates and of PSNRs."""
    return Point(*(float(value) for value in np.mean(points, axis=0)))
