"""Calls to the compiled kernels around the networks: the input of the hyper-analysis, the rounding of latents and their
writing to a plane, the comparison of images. They check sizes, which the kernels do not, and share positions among
threads."""

from __future__ import annotations

from ctypes import byref, c_int64, c_void_p
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...machine.threads import in_threads
from ...model.arrays import AnyArray, Floats, Latents, Pixels, ScaleIndices, Symbols
from ...model.constants import CLASSES, INPUT_LIMIT, INPUT_ONE, group_of
from .instructions import Cells, Kernels, Rounding, Shape, address, check, keeping


class Costs(NamedTuple):
    """The tables by which latents are rounded by rate and distortion (tile/quantize.py)."""

    half_extra: Floats
    """Half the bits that a magnitude costs beyond the one below it, by scale index and magnitude: [scales, depth + 1].
    Larger magnitudes are rounded to the nearest."""
    coded: npt.NDArray[np.bool_]
    """Whether symbols of a scale index are coded: [256]."""
    most: int
    """Largest magnitude of a symbol."""


def with_logs(kernels: Kernels, logs: npt.NDArray[np.int16], y: Floats) -> Floats:
    """The input of the hyper-analysis, float32 [..., 2M], from latents in standard deviations, [..., M]: the latents as
    integers of 16 bits, then their logarithms, which `logs`, [INPUT_LIMIT + 1], has by magnitude."""
    check(logs.shape == (INPUT_LIMIT + 1,), "logarithms")
    channels = y.shape[-1]
    out = np.empty((*y.shape[:-1], 2 * channels), np.float32)
    arrays = _given(y, np.float32), _given(logs, np.int16)
    work = partial(kernels.with_logs, *arrays, address(out), channels, INPUT_ONE, INPUT_LIMIT)
    in_threads(work, y.size // channels)
    return out


def round_latents(
    kernels: Kernels,
    costs: Costs,
    step: int,
    means: Floats,
    scale_indices: ScaleIndices,
    y: Floats,
    sigma_in_steps: Floats,
    rd_weight: Floats,
) -> Symbols:
    """The symbols of a step, rounded by rate and distortion, with the arguments of `Networks.round_latents`."""
    cells = _cells(step, y.shape, means.shape)
    check(scale_indices.shape == means.shape and sigma_in_steps.shape == rd_weight.shape == y.shape[-1:], "a step")
    sigmas, weights = (_of_classes(values, cells) for values in (sigma_in_steps, rd_weight))
    half_extra, coded, most = costs
    addresses = (array.ctypes.data for array in (sigmas, weights, half_extra, coded))
    rounding = keeping(Rounding(*addresses, half_extra.shape[1] - 1, most), sigmas, weights, costs)
    symbols = np.empty(means.shape, np.int32)
    arrays = (_given(*pair) for pair in ((means, np.float32), (scale_indices, np.uint8), (y, np.float32)))
    work = partial(kernels.round, byref(rounding), byref(cells), *arrays, address(symbols), byref(Shape(*y.shape[:3])))
    in_threads(work, means.size // cells.size)
    return symbols


def place_latents(kernels: Kernels, step: int, means: Floats, symbols: Symbols, latents: Latents) -> None:
    """Writes the latents that a step has coded, means + 16 symbols, into `latents`, [B, h, w, M]. means, symbols:
    [4, B, h/2, w/2, M/4]."""
    cells = _cells(step, latents.shape, means.shape)
    check(symbols.shape == means.shape and latents.dtype == np.int32, "a step")
    arrays = _given(means, np.float32), _given(symbols, np.int32)
    work = partial(kernels.place, byref(cells), *arrays, address(latents), byref(Shape(*latents.shape[:3])))
    in_threads(work, means.size // cells.size)


def squared_errors(kernels: Kernels, x: Pixels, y: Pixels) -> tuple[float, float]:
    """The sums of squared differences of two images, uint8 [..., 3], over RGB, and over luma times 256^2. Raises
    ValueError for other shapes."""
    if x.shape != y.shape or x.shape[-1] != 3:
        raise ValueError(f"pixels {x.shape} against {y.shape}")
    sums = (c_int64 * 2)()
    kernels.compare(_given(x, np.uint8), _given(y, np.uint8), x.size // 3, byref(sums))
    return float(sums[0]), float(sums[1])


def _cells(step: int, shape: tuple[int, ...], parts: tuple[int, ...]) -> Cells:
    """The latents that a step codes in a plane [B, h, w, M], for kernels. shape: of the plane. parts: of the arrays of
    the step, [4, B, h/2, w/2, M/4]. Raises WeightsError if these do not fit together."""
    images, size = shape[0], shape[-1] // 4
    check(shape == (images, 2 * parts[2], 2 * parts[3], 4 * size) and parts == (4, images, *parts[2:4], size), "a step")
    down, right = zip(*CLASSES, strict=True)
    return Cells(size, 4 * size, tuple(group_of(k, step) * size for k in range(4)), down, right)


def _of_classes(values: Floats, cells: Cells) -> Floats:
    """The values, [M], of the channels that each position class codes in a step: float32 [4, M/4]."""
    return np.stack([values[first : first + cells.size] for first in cells.first]).astype(np.float32)


def _given(array: AnyArray, dtype: Any) -> c_void_p:
    """The address of an array as kernels read it: contiguous and of this dtype, in a copy if need be."""
    return address(np.ascontiguousarray(array, dtype))
