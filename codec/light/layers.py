"""The integer layers in numpy.

All that counts is whole numbers below 2^24, or one IEEE 754 operation after another, so the results are those of
tensors/exact.py and tensors/narrow.py to the bit; what is said there of the numbers holds here. Arrays are float32
[B, h, w, channels] unless said otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...bitstream.errors import WeightsError
from ..config import ACTIVATION_LIMIT, OPERAND_LIMIT, OPERAND_STEP, OPERAND_ZERO
from ..integers import ACCUMULATOR_LIMIT, GATE_LIMIT
from ..networks import Floats

CACHED_POSITIONS = 2048
"""A block's wide layers take so many positions at a time, whose values then stay in the cache."""


class _Layer(NamedTuple):
    """Of whole numbers times powers of two. weight: [inputs, outputs], or [9, channels] of a depthwise convolution."""

    weight: Floats
    bias: Floats


class LightLayers:
    """Layers of the tensors of a weights file, by name."""

    def __init__(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        self._tensors = tensors
        self._layer = functools.cache(self._read_layer)

    def tensor(self, name: str) -> npt.NDArray[Any]:
        """Raises KeyError."""
        return self._tensors[name]

    def row(self, name: str, row: int) -> Floats:
        """That of a table."""
        return np.asarray(self._tensors[name][row], np.float32)

    def _read_layer(self, name: str) -> _Layer:
        weight = self._tensors[f"{name}.weight"].astype(np.float32)
        weight = weight.reshape(len(weight), -1)
        bias, multiplier = (self._tensors[f"{name}.{key}"].astype(np.float32) for key in ("bias", "multiplier"))
        sums = np.abs(weight).sum(axis=1, dtype=np.float64) * OPERAND_LIMIT + np.abs(bias)
        if not sums.max() < ACCUMULATOR_LIMIT or (np.frexp(multiplier)[0] != 0.5).any():
            raise WeightsError("integer weights are too large for exact arithmetic")
        return _Layer(np.ascontiguousarray((weight * multiplier[:, None]).T), bias * multiplier)

    def product(self, name: str, u: Floats) -> Floats:
        """A 1x1 convolution of operands."""
        layer = self._layer(name)
        out = u.reshape(-1, u.shape[-1]) @ layer.weight
        out += layer.bias
        return out.reshape(*u.shape[:-1], -1)

    def fine(self, name: str, u: Floats) -> Floats:
        """One by weights of 16 bits: two exact sums, what they add up to is rounded."""
        out = self.product(f"{name}.upper", u)
        out += self.product(f"{name}.lower", u)
        return out

    def wide(self, name: str, x: Floats, step: int) -> Floats:
        """One of whole numbers of more bits: two exact sums, what they add up to is rounded."""
        upper, lower = halves(x, step)
        layer = self._layer(name)
        out = (upper.reshape(-1, x.shape[-1]) @ layer.weight) * np.float32(step)
        out += self.product(name, lower).reshape(out.shape)
        return out.reshape(*x.shape[:-1], -1)

    def blocks(self, name: str, x: Floats, count: int) -> Floats:
        """A row of blocks, on contiguous activations, in place."""
        for index in range(count):
            self._block(f"{name}.{index}", x)
        return x

    def _block(self, name: str, x: Floats) -> None:
        u = operands(self._depthwise(f"{name}.spatial", operands(self.product(f"{name}.mix", narrowed(x)))))
        x += self.product(f"{name}.project", u)
        positions = x.reshape(-1, x.shape[-1])
        for top in range(0, len(positions), CACHED_POSITIONS):
            part = positions[top : top + CACHED_POSITIONS]
            u = narrowed(part)
            gate = self.product(f"{name}.gate", u)
            product = self.product(f"{name}.value", u)
            product *= clipped(gate, 0, GATE_LIMIT)
            np.rint(product, out=product)
            product += OPERAND_ZERO
            part += self.product(f"{name}.contract", clipped(product, 0, OPERAND_LIMIT))

    def _depthwise(self, name: str, u: Floats) -> Floats:
        """A 3x3 convolution, zeros beyond the border."""
        layer = self._layer(name)
        images, height, width, channels = u.shape
        padded = np.zeros((images, height + 2, width + 2, channels), np.float32)
        padded[:, 1:-1, 1:-1] = u
        out = np.empty_like(u)
        out[:] = layer.bias
        part = np.empty_like(u)
        for index, weight in enumerate(layer.weight):
            top, left = divmod(index, 3)
            out += np.multiply(padded[:, top : top + height, left : left + width], weight, out=part)
        return out


def clipped(x: Floats, least: float, most: float) -> Floats:
    """In place, so that x stays float32: numpy 1.26 makes float64 of it where a limit has many digits."""
    return np.clip(x, np.float32(least), np.float32(most), out=x)


def limited(x: Floats) -> Floats:
    """Activations to whole numbers for wide layers, in place."""
    np.rint(x, out=x)
    return clipped(x, -ACTIVATION_LIMIT, ACTIVATION_LIMIT)


def operands(x: Floats) -> Floats:
    """Sums to operands, in place."""
    np.rint(x, out=x)
    return clipped(x, 0, OPERAND_LIMIT)


def narrowed(x: Floats) -> Floats:
    """The operands of activations."""
    out = x * np.float32(1 / OPERAND_STEP)
    np.rint(out, out=out)
    out += OPERAND_ZERO
    return clipped(out, 0, OPERAND_LIMIT)


def halves(x: Floats, step: int) -> tuple[Floats, Floats]:
    """How many steps, and what is left: from 0 to step - 1."""
    upper = np.floor(x * np.float32(1 / step))
    return upper, x - upper * np.float32(step)


def depth_to_space(x: Floats, factor: int) -> Floats:
    """[B, h, w, f * f * C] -> [B, h * f, w * f, C], a copy."""
    images, h, w, channels = x.shape
    x = x.reshape(images, h, w, factor, factor, channels // factor**2).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(images, h * factor, w * factor, channels // factor**2)


def space_to_depth(x: Floats, factor: int) -> Floats:
    """Inverse of `depth_to_space`."""
    images, h, w, channels = x.shape
    x = x.reshape(images, h // factor, factor, w // factor, factor, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(images, h // factor, w // factor, factor**2 * channels)
