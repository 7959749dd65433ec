"""Metrics of what decoded images have lost: each takes the original and the decoded 8-bit pixels."""

from __future__ import annotations

import importlib
import io
import math
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from ..model.arrays import Pixels
from ..model.distortion import LUMA, psnr, psnr_of

MS_SSIM_SIDE = 176
"""The shortest side, in pixels, that five scales with a window of 11 pixels can be taken of: (11 - 1) * 2^4 < 176."""

SSIMULACRA2_SIDE = 8
"""The shortest side, in pixels, that has a first scale."""


class Metric(NamedTuple):
    """A metric of which larger values are better.

    measure: (original, decoded), both uint8 RGB [H, W, 3] -> a value, NaN where the images are too small for it.
    digits: decimals shown. smallest: the shortest side in pixels that it needs. curve: from a value to what curves
    show, whose name and unit is `axis`; from_curve: the inverse."""

    label: str
    axis: str
    measure: Callable[[Pixels, Pixels], float]
    digits: int = 2
    smallest: int = 1
    curve: Callable[[float], float] = float
    from_curve: Callable[[float], float] = float


def psnr_y(original: Pixels, decoded: Pixels) -> float:
    """The PSNR of the luma of ITU-R BT.601 as JPEG uses it (full range, not rounded), in dB."""
    return psnr_of((original.astype(np.float64) - decoded.astype(np.float64)) @ np.array(LUMA))


def ms_ssim(original: Pixels, decoded: Pixels) -> float:
    """The MS-SSIM over RGB, 0..1 (Wang, Simoncelli, Bovik 2003, five scales), by pytorch-msssim."""
    if min(original.shape[:2]) < MS_SSIM_SIDE:
        return math.nan
    return float(pytorch_msssim().ms_ssim(_tensor(original), _tensor(decoded), data_range=255))


def ssim(original: Pixels, decoded: Pixels) -> float:
    """The structural similarity over RGB, 0..1 (Wang et al. 2004, Gaussian window of 11 pixels), by pytorch-msssim."""
    if min(original.shape[:2]) < 11:
        return math.nan
    return float(pytorch_msssim().ssim(_tensor(original), _tensor(decoded), data_range=255))


def ssimulacra2(original: Pixels, decoded: Pixels) -> float:
    """SSIMULACRA 2.1 (Cloudinary): 30 is low, 50 medium, 70 high quality, 90 visually lossless; by ssimulacra2."""
    if min(original.shape[:2]) < SSIMULACRA2_SIDE:
        return math.nan
    package: Any = importlib.import_module("ssimulacra2")
    return float(package.compute_ssimulacra2(_file(original), _file(decoded)))


def pytorch_msssim() -> Any:
    """Imports the package pytorch_msssim, without the warnings of its decorators."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # which they give with newer versions of torch
        return importlib.import_module("pytorch_msssim")


def _tensor(pixels: Pixels) -> torch.Tensor:
    return torch.tensor(pixels).permute(2, 0, 1)[None].float()


def _file(pixels: Pixels) -> io.BytesIO:
    """An uncompressed image file in memory, for a package that takes files only."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PPM")
    return buffer


def decibels(similarity: float) -> float:
    """A similarity of 0..1 as -10 log10(1 - similarity), in dB, as papers draw MS-SSIM; infinite for 1."""
    return math.inf if similarity >= 1 else -10 * math.log10(1 - similarity)


def similarity(value: float) -> float:
    """The similarity that `decibels` gives a value for, 1 - 10^(-value / 10)."""
    return 1 - 10 ** (-value / 10)


METRICS = {
    "psnr": Metric("PSNR", "PSNR (RGB), dB", psnr),
    "psnr-y": Metric("PSNR-Y", "PSNR (luma), dB", psnr_y),
    "ms-ssim": Metric("MS-SSIM", "MS-SSIM, dB", ms_ssim, 4, MS_SSIM_SIDE, decibels, similarity),
    "ssimulacra2": Metric("SSIMULACRA2", "SSIMULACRA2", ssimulacra2, 1, SSIMULACRA2_SIDE),
    "ssim": Metric("SSIM", "SSIM, dB", ssim, 4, 11, decibels, similarity),
}
DEFAULT = ("psnr", "psnr-y", "ms-ssim", "ssimulacra2")


def metrics_version() -> str:
    """The versions of the packages that measure, in one line: other versions may give other last digits."""
    found = []
    for package in ("numpy", "pytorch-msssim", "ssimulacra2"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} -")
    return ", ".join(found)
