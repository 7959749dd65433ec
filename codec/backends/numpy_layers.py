"""The integer layers in numpy, and what they are asked for.

All that counts is whole numbers below 2^24, or one IEEE 754 operation after another, so the results are those of
tensors/exact.py and tensors/narrow.py to the bit; what is said there of the numbers holds here. Arrays are float32
[B, h, w, channels] unless said otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ...bitstream.errors import WeightsError
from ..model.arrays import Floats, Latents, Pixels
from ..model.config import LATENT_FRACTION, OPERAND_LIMIT, OPERAND_STEP, OPERAND_ZERO, PATCH, TABLE_ROWS
from ..model.constants import (
    ACCUMULATOR_LIMIT,
    CLASSES,
    GATE_LIMIT,
    HALF,
    INPUT_LIMIT,
    INPUT_ONE,
    MEAN_LIMIT,
    MEAN_ONE,
    SCALE_ONE,
    WEIGHT_LIMIT,
    group_of,
)

Scalar = TypeVar("Scalar", bound=np.generic)

CACHED_POSITIONS = 2048
"""A block's wide layers take so many positions at a time, whose values then stay in the cache."""


class _Layer(NamedTuple):
    """Of whole numbers times powers of two. weight: [inputs, outputs], or [9, channels] of a depthwise convolution."""

    weight: Floats
    bias: Floats


class Numbers(NamedTuple):
    """Those of a layer, whole numbers and powers of two. weight: [outputs, inputs], or [channels, 9] of a depthwise
    convolution; bias, multiplier: [outputs]."""

    weight: npt.NDArray[np.int8]
    bias: Floats
    multiplier: Floats


class Tensors:
    """The tensors of a weights file, by name."""

    def __init__(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Raises KeyError."""
        return self._tensors[name]

    def row(self, name: str, rate_index: int) -> Floats:
        """A rate's, of a table."""
        return np.asarray(self._tensors[name][rate_index], np.float32)

    def numbers(self, name: str) -> Numbers:
        """A layer's. Raises WeightsError where its sums would not be exact."""
        weight = self._tensors[f"{name}.weight"]
        weight = weight.reshape(len(weight), -1)
        bias, multiplier = (self._tensors[f"{name}.{key}"].astype(np.float32) for key in ("bias", "multiplier"))
        if weight.dtype != np.int8 or not weight.size or not bias.shape == multiplier.shape == weight.shape[:1]:
            raise WeightsError(f"the tensors of {name} are not those of a layer")
        sums = np.abs(weight.astype(np.float32)).sum(axis=1, dtype=np.float64) * OPERAND_LIMIT + np.abs(bias)
        exact = sums.max() < ACCUMULATOR_LIMIT and weight.min() >= -WEIGHT_LIMIT
        if not exact or (np.frexp(multiplier)[0] != 0.5).any():
            raise WeightsError("integer weights are too large for exact arithmetic")
        return Numbers(weight, bias, multiplier)

    def logs(self, name: str) -> npt.NDArray[np.int16]:
        """Those of all magnitudes in 16 bits. Raises WeightsError for another table."""
        logs = self._tensors[name]
        if logs.dtype != np.int16 or logs.shape != (INPUT_LIMIT + 1,):
            raise WeightsError(f"{name} is not a table of logarithms")
        return np.ascontiguousarray(logs)


class Layers(Protocol):
    """The layers of a weights file, by name; what they give is [..., outputs], times `gain`, [outputs] or [1], if there
    is one. Raises KeyError, and WeightsError where sums would not be exact."""

    def narrow(self, name: str, x: Floats, step: int = OPERAND_STEP) -> Floats:
        """A 1x1 convolution of x / step in 8 bits."""

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
        """One of whole numbers of more bits, to which x, float32 or int32, is rounded and limited, in two parts: how
        many steps, and what is left. Of these the sums are exact, what they add up to is rounded. scale: what x is
        multiplied by first, [inputs]."""

    def linear(self, name: str, x: Latents, scale: Floats) -> Floats:
        """One of x * scale, rounded to 16 bits, by weights of 16 bits, both in parts of 8."""

    def fine(self, name: str, pixels: Pixels, gain: Floats | None = None) -> Floats:
        """One of bytes by weights of 16 bits: two exact sums, what they add up to is rounded."""

    def blocks(self, name: str, x: Floats, count: int) -> Floats:
        """A row of blocks, on contiguous activations [B, h, w, channels], in place."""

    def parameters(
        self, name: str, x: Floats, sigmas: Floats, log_sigmas: Floats
    ) -> tuple[Floats, npt.NDArray[np.uint8]]:
        """The last layer of a step of the prior, for each class of positions: activations [B, h, w, inputs] -> means
        in sixteenths of a quantisation step and scale indices, uint8, both [4, B, h/2, w/2, C]. sigmas: [4, C],
        standard deviations in quantisation steps; log_sigmas: [4, C], the same as positions in the scale table."""

    def with_logs(self, name: str, y: Floats) -> Floats:
        """Latents in standard deviations to what the hyper-analysis takes: in 16 bits, with the logarithms of their
        magnitudes as further channels. name: of those."""

    def place(self, step: int, means: Floats, symbols: npt.NDArray[np.int32], latents: Latents) -> None:
        """Puts what a step codes into the latents, [B, h, w, M]. means, symbols: [4, B, h/2, w/2, M/4]."""

    def samples(self, patches: Floats, corrections: Floats) -> Pixels:
        """Patches of 16x16 pixels [B, h, w, 768] and corrections of 8x8 pixels [B, 2h, 2w, 192], added and rounded:
        [B, 16h, 16w, 3]."""


class ArrayLayers:
    """`Layers` in numpy."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._layer = functools.cache(self._read_layer)

    def _read_layer(self, name: str) -> _Layer:
        weight, bias, multiplier = self._tensors.numbers(name)
        return _Layer(np.ascontiguousarray((weight * multiplier[:, None]).T), bias * multiplier)

    def narrow(self, name: str, x: Floats, step: int = OPERAND_STEP) -> Floats:
        return self._product(name, narrowed(x, step))

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
        whole = np.rint(x if scale is None else x.astype(np.float32) * scale)
        upper, lower = halves(clipped(whole, -limit, limit), step)
        layer = self._layer(name)
        out = (upper.reshape(-1, x.shape[-1]) @ layer.weight) * np.float32(step)
        out += self._product(name, lower).reshape(out.shape)
        return scaled(out.reshape(*x.shape[:-1], -1), gain)

    def linear(self, name: str, x: Latents, scale: Floats) -> Floats:
        levels = np.rint(x.astype(np.float32) * scale)
        levels += OPERAND_ZERO  # so that lower halves, too, have 128 for what stands for 0
        upper, lower = halves(clipped(levels, -HALF * OPERAND_ZERO, HALF * OPERAND_ZERO - 1), HALF)
        upper += OPERAND_ZERO
        out = self._product(f"{name}.top", upper)
        out += self._product(f"{name}.middle", np.concatenate([upper, lower], axis=-1))
        return out

    def fine(self, name: str, pixels: Pixels, gain: Floats | None = None) -> Floats:
        u = pixels.astype(np.float32)
        out = self._product(f"{name}.upper", u)
        out += self._product(f"{name}.lower", u)
        return scaled(out, gain)

    def blocks(self, name: str, x: Floats, count: int) -> Floats:
        for index in range(count):
            self._block(f"{name}.{index}", x)
        return x

    def parameters(
        self, name: str, x: Floats, sigmas: Floats, log_sigmas: Floats
    ) -> tuple[Floats, npt.NDArray[np.uint8]]:
        means, scale_indices = [], []
        for k, (down, right) in enumerate(CLASSES):
            out = self.narrow(f"{name}.classes.{k}", np.ascontiguousarray(x[:, down::2, right::2]))
            mean, log_scale = np.split(out, 2, axis=-1)
            mean = np.rint(mean * (sigmas[k] * np.float32(LATENT_FRACTION / MEAN_ONE)))
            means.append(clipped(mean, -MEAN_LIMIT, MEAN_LIMIT))
            scale = np.rint(log_sigmas[k] + log_scale * np.float32(1 / SCALE_ONE))
            scale_indices.append(clipped(scale, 0, TABLE_ROWS - 1).astype(np.uint8))
        return np.stack(means), np.stack(scale_indices)

    def with_logs(self, name: str, y: Floats) -> Floats:
        inputs = clipped(np.rint(y * np.float32(INPUT_ONE)), -INPUT_LIMIT, INPUT_LIMIT)
        logs = np.take(self._tensors.logs(name).astype(np.float32), np.abs(inputs).astype(np.intp), mode="clip")
        return np.concatenate([inputs, logs], axis=-1)

    def place(self, step: int, means: Floats, symbols: npt.NDArray[np.int32], latents: Latents) -> None:
        size = means.shape[-1]
        # In float32, which rounds sums beyond 2^24 (FORMAT.md, section 8).
        values = (means + np.float32(LATENT_FRACTION) * symbols.astype(np.float32)).astype(np.int32)
        for k, (down, right) in enumerate(CLASSES):
            first = group_of(k, step) * size
            latents[:, down::2, right::2, first : first + size] = values[k]

    def samples(self, patches: Floats, corrections: Floats) -> Pixels:
        image = depth_to_space(patches, PATCH) + depth_to_space(corrections, PATCH // 2)
        np.rint(image, out=image)
        return clipped(image, 0, OPERAND_LIMIT).astype(np.uint8)

    def _product(self, name: str, u: Floats) -> Floats:
        """A 1x1 convolution of operands."""
        layer = self._layer(name)
        out = u.reshape(-1, u.shape[-1]) @ layer.weight
        out += layer.bias
        return out.reshape(*u.shape[:-1], -1)

    def _block(self, name: str, x: Floats) -> None:
        u = operands(self._depthwise(f"{name}.spatial", operands(self.narrow(f"{name}.mix", x))))
        x += self._product(f"{name}.project", u)
        positions = x.reshape(-1, x.shape[-1])
        for top in range(0, len(positions), CACHED_POSITIONS):
            part = positions[top : top + CACHED_POSITIONS]
            u = narrowed(part)
            gate = self._product(f"{name}.gate", u)
            product = self._product(f"{name}.value", u)
            product *= clipped(gate, 0, GATE_LIMIT)
            np.rint(product, out=product)
            product += OPERAND_ZERO
            part += self._product(f"{name}.contract", clipped(product, 0, OPERAND_LIMIT))

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


def scaled(x: Floats, gain: Floats | None) -> Floats:
    """In place."""
    return x if gain is None else np.multiply(x, gain, out=x)


def operands(x: Floats) -> Floats:
    """Sums to operands, in place."""
    np.rint(x, out=x)
    return clipped(x, 0, OPERAND_LIMIT)


def narrowed(x: Floats, step: int = OPERAND_STEP) -> Floats:
    """The operands of activations."""
    out = x * np.float32(1 / step)
    np.rint(out, out=out)
    out += OPERAND_ZERO
    return clipped(out, 0, OPERAND_LIMIT)


def halves(x: Floats, step: int) -> tuple[Floats, Floats]:
    """How many steps, and what is left: from 0 to step - 1."""
    upper = np.floor(x * np.float32(1 / step))
    return upper, x - upper * np.float32(step)


def depth_to_space(x: npt.NDArray[Scalar], factor: int) -> npt.NDArray[Scalar]:
    """[B, h, w, f * f * C] -> [B, h * f, w * f, C], which may share memory with it."""
    images, h, w, channels = x.shape
    x = x.reshape(images, h, w, factor, factor, channels // factor**2).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(images, h * factor, w * factor, channels // factor**2)


def space_to_depth(x: npt.NDArray[Scalar], factor: int) -> npt.NDArray[Scalar]:
    """Inverse of `depth_to_space`."""
    images, h, w, channels = x.shape
    x = x.reshape(images, h // factor, factor, w // factor, factor, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(images, h // factor, w // factor, factor**2 * channels)
