"""What is done with what the networks give, by the compiled kernels: latents are rounded and put where they belong,
pixels are compared."""

from __future__ import annotations

from ctypes import byref, c_int64, c_void_p
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...machine.threads import in_threads
from ...model.arrays import Floats, Latents, Pixels
from ...model.constants import CLASSES, INPUT_LIMIT, INPUT_ONE, group_of
from .instructions import Cells, Kernels, Rounding, Shape, address, check, keeping


class Costs(NamedTuple):
    """What rounding by cost looks up."""

    half_extra: Floats
    """[scales, depth + 1]: half the bits that a magnitude costs beyond the one below it."""
    coded: npt.NDArray[np.bool_]
    """[256]: whether symbols of a scale are coded."""
    most: int
    """Largest magnitude of a symbol."""


def with_logs(kernels: Kernels, logs: npt.NDArray[np.int16], y: Floats) -> Floats:
    """What the hyper-analysis takes, as of layers.Layers."""
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
    scale_indices: npt.NDArray[np.uint8],
    y: Floats,
    sigma_in_steps: Floats,
    rd_weight: Floats,
) -> npt.NDArray[np.int32]:
    """Symbols of a step, as of interface.Networks."""
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


def place_latents(kernels: Kernels, step: int, means: Floats, symbols: npt.NDArray[np.int32], latents: Latents) -> None:
    """Puts those of a step into the latents, [B, h, w, M]. means, symbols: [4, B, h/2, w/2, M/4]."""
    cells = _cells(step, latents.shape, means.shape)
    check(symbols.shape == means.shape and latents.dtype == np.int32, "a step")
    arrays = _given(means, np.float32), _given(symbols, np.int32)
    work = partial(kernels.place, byref(cells), *arrays, address(latents), byref(Shape(*latents.shape[:3])))
    in_threads(work, means.size // cells.size)


def squared_errors(kernels: Kernels, x: Pixels, y: Pixels) -> tuple[float, float]:
    """Of two images, as of interface.Networks."""
    if x.shape != y.shape or x.shape[-1] != 3:
        raise ValueError(f"pixels {x.shape} against {y.shape}")
    sums = (c_int64 * 2)()
    kernels.compare(_given(x, np.uint8), _given(y, np.uint8), x.size // 3, byref(sums))
    return float(sums[0]), float(sums[1])


def _cells(step: int, shape: tuple[int, ...], parts: tuple[int, ...]) -> Cells:
    """Of latents [B, h, w, M] and what is theirs in a step, [4, B, h/2, w/2, M/4]."""
    images, size = shape[0], shape[-1] // 4
    check(shape == (images, 2 * parts[2], 2 * parts[3], 4 * size) and parts == (4, images, *parts[2:4], size), "a step")
    down, right = zip(*CLASSES, strict=True)
    return Cells(size, 4 * size, tuple(group_of(k, step) * size for k in range(4)), down, right)


def _of_classes(values: Floats, cells: Cells) -> Floats:
    """Those of the group that each class codes, [4, M/4], of [M]."""
    return np.stack([values[first : first + cells.size] for first in cells.first]).astype(np.float32)


def _given(array: npt.NDArray[Any], dtype: Any) -> c_void_p:
    """As the kernels take it."""
    return address(np.ascontiguousarray(array, dtype))
