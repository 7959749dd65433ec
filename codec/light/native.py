"""`Layers` by this processor's own instructions: kernels/, which is compiled where a C compiler is at hand.

What it gives is what numpy gives, to the bit, in a tenth of the time.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import POINTER, Structure, byref, c_char_p, c_float, c_int64, c_void_p, pointer
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..config import LATENT_FRACTION, OPERAND_STEP, OPERAND_ZERO, PATCH, TABLE_ROWS
from ..integers import CLASSES, HALF, MEAN_LIMIT, MEAN_ONE, SCALE_ONE
from ..networks import Floats, Latents, Pixels
from .layers import Numbers, Tensors
from .threads import in_threads

BYTES, NARROW, UPPER, LOWER, BOTH, WHOLE = range(6)
"""Kinds of inputs."""

WEIGHTS = {1: np.float32, 2: np.int16, 4: np.int8}
"""Of how many bits weights are, if so many share 32."""

OPERANDS = {(1, False): np.float32, (2, False): np.int16, (4, False): np.uint8, (4, True): np.int8}
"""The same of operands, and whether they are less by an offset."""


class _Layer(Structure):
    _fields_ = (
        ("weights", c_void_p),
        ("bias", c_void_p),
        ("multiplier", c_void_p),
        ("inputs", c_int64),
        ("outputs", c_int64),
    )


class _Block(Structure):
    _fields_ = (
        ("mix", _Layer),
        ("spatial_weights", c_void_p),
        ("spatial_bias", c_void_p),
        ("spatial_multiplier", c_void_p),
        *((name, _Layer) for name in ("project", "value", "gate", "contract")),
    )


class _Shape(Structure):
    _fields_ = (("images", c_int64), ("height", c_int64), ("width", c_int64))


class _Input(Structure):
    _fields_ = (
        ("data", c_void_p),
        ("scale", c_void_p),
        *((name, c_int64) for name in ("kind", "shift", "whole")),
        ("least", c_float),
        ("most", c_float),
        ("offset", c_int64),
    )


class _Term(Structure):
    _fields_ = (("layer", POINTER(_Layer)), ("input", _Input))


class _Parameters(Structure):
    _fields_ = (
        ("means", _Layer),
        ("scales", _Layer),
        ("unit", c_void_p),
        ("log_unit", c_void_p),
        ("mean_limit", c_float),
        ("scale_step", c_float),
        *((name, c_int64) for name in ("last_row", "down", "right")),
    )


def _kernel(*arguments: Any) -> Any:
    """The type of a function that works on positions from a begin to an end; what it gives is not 0 if it lacks
    memory."""
    return ctypes.CFUNCTYPE(c_int64, *arguments, c_int64, c_int64)


_SHAPE = POINTER(_Shape)
_ON_BLOCK = _kernel(POINTER(_Block), c_void_p, c_void_p, _SHAPE)


class Kernels(Structure):
    """Those of a level of instructions (kernels/kernels.h)."""

    _fields_ = (
        ("name", c_char_p),
        ("lanes", c_int64),
        ("group", c_int64),
        ("depth", c_int64),
        ("offset", c_int64),
        ("product", _kernel(POINTER(_Term), c_int64, c_void_p, c_void_p)),
        ("mix", _ON_BLOCK),
        ("rest", _ON_BLOCK),
        ("parameters", _kernel(POINTER(_Parameters), c_void_p, c_void_p, c_void_p, _SHAPE)),
        ("samples", _kernel(c_void_p, c_void_p, c_void_p, _SHAPE)),
    )


@functools.cache
def levels() -> dict[str, Kernels]:
    """Those that were compiled and that this processor has, the best one first."""
    found = find_spec(f"{__package__}._kernels")
    if found is None or found.origin is None:
        return {}
    function: Any = ctypes.CDLL(found.origin).cae_kernels
    function.restype, function.argtypes = POINTER(Kernels), (c_int64, POINTER(c_int64))
    count = c_int64(1)
    result: dict[str, Kernels] = {}
    index = 0
    while index < count.value:
        kernels = function(index, byref(count))
        if kernels:
            result[kernels.contents.name.decode()] = kernels.contents
        index += 1
    return result


class _Held(NamedTuple):
    """A structure, and the arrays that it points to."""

    structure: Any
    arrays: tuple[npt.NDArray[Any], ...]


class NativeLayers:
    """`Layers` by the kernels of a level."""

    def __init__(self, tensors: Tensors, kernels: Kernels) -> None:
        self._tensors, self._kernels = tensors, kernels
        self._layer, self._block = functools.cache(self._read_layer), functools.cache(self._read_block)
        self._class = functools.cache(self._read_class)
        self._largest = functools.cache(self._read_largest)

    def narrow(self, name: str, x: Floats, step: int = OPERAND_STEP) -> Floats:
        return self._product(x, (self._layer(name), _input(x, NARROW, step)))

    def wide(
        self,
        name: str,
        x: npt.NDArray[Any],
        step: int,
        limit: int,
        *,
        scale: Floats | None = None,
        gain: Floats | None = None,
    ) -> Floats:
        limits, layer = (-limit, limit), self._layer(name)
        if self._takes_whole(name, limit):
            return self._product(x, (layer, _input(x, WHOLE, 1, limits, scale=scale)), gain=gain)
        upper = self._layer(name, step), _input(x, UPPER, step, limits, scale=scale)
        return self._product(x, upper, (layer, _input(x, LOWER, step, limits, scale=scale)), gain=gain)

    def linear(self, name: str, x: Latents, scale: Floats) -> Floats:
        # So that lower halves, too, have 128 for what stands for 0.
        limits = -HALF * OPERAND_ZERO - OPERAND_ZERO, HALF * OPERAND_ZERO - 1 - OPERAND_ZERO
        upper, both = (_input(x, kind, HALF, limits, OPERAND_ZERO, scale) for kind in (UPPER, BOTH))
        return self._product(x, (self._layer(f"{name}.top"), upper), (self._layer(f"{name}.middle"), both))

    def fine(self, name: str, pixels: Pixels, gain: Floats | None = None) -> Floats:
        terms = ((self._layer(f"{name}.{half}"), _input(pixels, BYTES)) for half in ("upper", "lower"))
        return self._product(pixels, *terms, gain=gain)

    def blocks(self, name: str, x: Floats, count: int) -> Floats:
        images, height, width, channels = x.shape
        kernels, shape = self._kernels, _Shape(images, height, width)
        bordered = (images, height + 2, width + 2, self._depth(channels))
        mixed = np.full(bordered, -kernels.offset, OPERANDS[kernels.group, bool(kernels.offset)])
        positions, data, buffer = images * height * width, _address(x), mixed.ctypes.data
        for index in range(count):
            block = byref(self._block(f"{name}.{index}").structure)
            in_threads(lambda *part: kernels.mix(block, data, buffer, shape, *part), positions)  # noqa: B023
            in_threads(lambda *part: kernels.rest(block, data, buffer, shape, *part), positions)  # noqa: B023
        return x

    def parameters(
        self, name: str, x: Floats, units: Floats, log_units: Floats
    ) -> tuple[Floats, npt.NDArray[np.uint8]]:
        images, height, width, _ = x.shape
        size = units.shape[-1]
        means = np.empty((len(CLASSES), images, height // 2, width // 2, size), np.float32)
        rows = np.empty(means.shape, np.uint8)
        shape, kernel, positions = _Shape(images, height, width), self._kernels.parameters, means[0].size // size
        data = _address(x)
        for k, (down, right) in enumerate(CLASSES):
            halves = self._class(f"{name}.classes.{k}")
            length = len(halves[0].arrays[1])
            tables = (
                _padded(units[k] * np.float32(LATENT_FRACTION / MEAN_ONE), length),
                _padded(log_units[k], length),
            )
            given = byref(
                _Parameters(
                    *(half.structure for half in halves),
                    *map(_address, tables),
                    MEAN_LIMIT,
                    1 / SCALE_ONE,
                    TABLE_ROWS - 1,
                    down,
                    right,
                )
            )
            to = means[k].ctypes.data, rows[k].ctypes.data
            in_threads(lambda *part: kernel(given, data, *to, shape, *part), positions)  # noqa: B023
        return means, rows

    def samples(self, patches: Floats, corrections: Floats) -> Pixels:
        images, height, width, _ = patches.shape
        out = np.empty((images, height * PATCH, width * PATCH, 3), np.uint8)
        shape, kernel, data = _Shape(images, height, width), self._kernels.samples, out.ctypes.data
        sources = _address(patches), _address(corrections)
        in_threads(lambda *part: kernel(*sources, data, shape, *part), images * height, 8)
        return out

    def _depth(self, channels: int) -> int:
        """As many as they are padded to."""
        depth: int = self._kernels.depth
        return -(-channels // depth) * depth

    def _takes_whole(self, name: str, limit: int) -> bool:
        """Whether a layer need not take whole numbers in two parts: with operands of 16 bits, sums of 32 hold what the
        two add up to, and are rounded once, as that is."""
        return bool(self._kernels.group == 2 and self._largest(name) * limit < 2**31 - 2**24)

    def _product(self, x: npt.NDArray[Any], *terms: tuple[_Held, _Held], gain: Floats | None = None) -> Floats:
        """The sums of one term, or of two, for the positions of x. A term: a layer, and what it takes."""
        out = np.empty((*x.shape[:-1], terms[0][0].structure.outputs), np.float32)
        factors = None if gain is None else np.ascontiguousarray(np.broadcast_to(gain, out.shape[-1:]))
        structures = (_Term * len(terms))(*(_Term(pointer(layer.structure), data.structure) for layer, data in terms))
        arguments = structures, len(terms), None if factors is None else _address(factors), _address(out)
        in_threads(lambda *part: self._kernels.product(*arguments, *part), out.size // out.shape[-1])
        return out

    def _read_layer(self, name: str, step: int = 1) -> _Held:
        """step: what the sums are multiplied by, if those of upper halves of numbers around 0."""
        weight, bias, multiplier = self._tensors.numbers(name)
        if step > 1:
            bias = weight.sum(axis=1, dtype=np.float32) * np.float32(-OPERAND_ZERO)
            multiplier = multiplier * np.float32(step)
        return self._packed(Numbers(weight, bias, multiplier))

    def _read_class(self, name: str) -> tuple[_Held, _Held]:
        """Two layers of one: means and log-scales."""
        numbers = self._tensors.numbers(name)
        size = len(numbers.bias) // 2
        weight, bias, multiplier = numbers
        means = Numbers(weight[:size], bias[:size], multiplier[:size])
        return self._packed(means), self._packed(Numbers(weight[size:], bias[size:], multiplier[size:]))

    def _read_largest(self, name: str) -> int:
        """The largest sum of an output's weights."""
        return int(np.abs(self._tensors.numbers(name).weight.astype(np.int32)).sum(axis=1).max())

    def _packed(self, numbers: Numbers) -> _Held:
        group, pair = self._kernels.group, 2 * self._kernels.lanes
        outputs, inputs = numbers.weight.shape
        pairs, depth = -(-outputs // pair), self._depth(inputs)
        weight = np.zeros((pairs * pair, depth), WEIGHTS[group])
        weight[:outputs, :inputs] = numbers.weight
        offsets = weight.sum(axis=1, dtype=np.float32) * np.float32(self._kernels.offset)
        bias, multiplier = (_padded(values, pairs * pair) for values in numbers[1:])
        bias += offsets
        bias = bias if group == 1 else bias.astype(np.int32)
        # Words of 32 bits, whatever they hold.
        packed = np.ascontiguousarray(weight.view(np.int32).reshape(pairs, pair, depth // group).transpose(0, 2, 1))
        arrays = (packed, bias, multiplier)
        return _Held(_Layer(*(array.ctypes.data for array in arrays), inputs, outputs), arrays)

    def _read_block(self, name: str) -> _Held:
        parts = {key: self._layer(f"{name}.{key}") for key in ("mix", "project", "value", "gate", "contract")}
        spatial = self._tensors.numbers(f"{name}.spatial")
        channels = self._depth(len(spatial.bias))
        weight = _padded(spatial.weight.T.astype(np.float32), channels)
        arrays = (weight, _padded(spatial.bias, channels), _padded(spatial.multiplier, channels))
        block = _Block(
            **{key: part.structure for key, part in parts.items()},
            **dict(zip(("spatial_weights", "spatial_bias", "spatial_multiplier"), map(_address, arrays), strict=True)),
        )
        return _Held(block, arrays)


def _input(
    x: npt.NDArray[Any],
    kind: int,
    step: int = 1,
    limits: tuple[int, int] = (0, 0),
    offset: int = 0,
    scale: Floats | None = None,
) -> _Held:
    x = np.ascontiguousarray(x)
    factors = None if scale is None else np.ascontiguousarray(scale)
    address = None if factors is None else factors.ctypes.data
    given = _Input(x.ctypes.data, address, kind, step.bit_length() - 1, x.dtype == np.int32, *limits, offset)
    return _Held(given, (x,) if factors is None else (x, factors))


def _padded(values: Floats, length: int) -> Floats:
    """With zeros at the end of the last axis."""
    out = np.zeros((*values.shape[:-1], length), np.float32)
    out[..., : values.shape[-1]] = values
    return out


def _address(array: npt.NDArray[Any]) -> int:
    """Of numbers without gaps between them, which the caller keeps as long as it is used."""
    assert array.flags.c_contiguous
    return array.ctypes.data
