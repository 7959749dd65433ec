"""`Layers` in numpy: the integer layers as float32 matrix products, which are exact. The reference for other back
ends."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from ...bitstream import entropy
from ..model.arrays import AnyArray, Floats, Latents, Pixels, ScaleIndices, Symbols
from ..model.config import LATENT_FRACTION, OPERAND_LIMIT, OPERAND_STEP, OPERAND_ZERO, PATCH, TABLE_ROWS
from ..model.constants import (
    CLASSES,
    GATE_LIMIT,
    HALF,
    INPUT_LIMIT,
    INPUT_ONE,
    MEAN_LIMIT,
    MEAN_ONE,
    SCALE_ONE,
    group_of,
)
from ..model.integer_weights import IntegerWeights
from . import numpy_coding
from .layers import depth_to_space, scaled

CACHED_POSITIONS = 2048
"""Positions that a block's widest layers take at a time, so that their values stay in the cache."""


class HostArrays:
    """The methods of `Layers` that numpy and the kernels share, since the arrays of both are numpy's."""

    def __init__(self, weights: IntegerWeights) -> None:
        self._weights = weights
        self.table = functools.cache(weights.table)

    def exact(self) -> AbstractContextManager[None]:
        return nullcontext()

    def array(self, array: AnyArray) -> AnyArray:
        return array

    def host(self, array: AnyArray) -> AnyArray:
        return array

    def zeros(self, *shape: int) -> Latents:
        return np.zeros(shape, np.int32)

    def copy(self, array: Floats) -> Floats:
        return array.copy()

    def whole(self, x: Floats, limit: int) -> Symbols:
        return clipped(np.rint(x), -limit, limit).astype(np.int32)

    def believed(self, corrections: Floats, limit: float) -> Floats:
        if max(corrections.max(), -corrections.min()) > limit:
            corrections[(np.abs(corrections) > limit).any(axis=-1)] = 0
        return corrections


class ArrayLayers(HostArrays):
    """`Layers` in numpy."""

    def __init__(self, weights: IntegerWeights) -> None:
        super().__init__(weights)
        self._layer = functools.cache(self._read_layer)
        self.round_latents, self.squared_errors = numpy_coding.round_latents, numpy_coding.squared_errors
        self.encode_steps, self.step_decoder = entropy.encode_steps, entropy.StepDecoder

    def _read_layer(self, name: str) -> tuple[Floats, Floats]:
        """The weights, [inputs, outputs] or, of a depthwise 3x3 convolution, [9, channels], and biases, [outputs], of a
        layer, times its multipliers, powers of two."""
        weight, bias, multiplier = self._weights.numbers(name)
        return np.ascontiguousarray((weight * multiplier[:, None]).T), bias * multiplier

    def narrow(self, name: str, x: Floats, step: int = OPERAND_STEP) -> Floats:
        return self._product(name, narrowed(x, step))

    def wide(
        self, name: str, x: AnyArray, step: int, limit: int, *, scale: Floats | None = None, gain: Floats | None = None
    ) -> Floats:
        whole = np.rint(x if scale is None else x.astype(np.float32) * scale)
        upper, lower = halves(clipped(whole, -limit, limit), step)
        weight, _ = self._layer(name)
        out = (upper.reshape(-1, x.shape[-1]) @ weight) * np.float32(step)
        out += self._product(name, lower).reshape(out.shape)
        return scaled(out.reshape(*x.shape[:-1], -1), gain)

    def linear(self, name: str, x: Latents, scale: Floats) -> Floats:
        levels = np.rint(x.astype(np.float32) * scale)
        levels += OPERAND_ZERO  # before the split, so that lower bytes, too, are around 128
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
        self, name: str, x: Floats, sigmas: list[Floats], log_sigmas: list[Floats]
    ) -> tuple[Floats, ScaleIndices]:
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
        logs = np.take(self.table(name), np.abs(inputs).astype(np.intp), mode="clip")
        return np.concatenate([inputs, logs], axis=-1)

    def place(self, step: int, means: Floats, symbols: Symbols, latents: Latents) -> None:
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
        """A 1x1 convolution of operands u: [..., inputs] -> [..., outputs]."""
        weight, bias = self._layer(name)
        out = u.reshape(-1, u.shape[-1]) @ weight
        out += bias
        return out.reshape(*u.shape[:-1], -1)

    def _block(self, name: str, x: Floats) -> None:
        """A residual block on contiguous activations, in place."""
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
        """A depthwise 3x3 convolution of operands u [B, h, w, channels], which are 0 beyond the border."""
        weights, bias = self._layer(name)
        images, height, width, channels = u.shape
        padded = np.zeros((images, height + 2, width + 2, channels), np.float32)
        padded[:, 1:-1, 1:-1] = u
        out = np.empty_like(u)
        out[:] = bias
        part = np.empty_like(u)
        for index, weight in enumerate(weights):
            top, left = divmod(index, 3)
            out += np.multiply(padded[:, top : top + height, left : left + width], weight, out=part)
        return out


def clipped(x: Floats, least: float, most: float) -> Floats:
    """Clamps x to least..most in place, and returns it. In place, since numpy 1.26 otherwise returns float64 for a
    limit that float32 does not hold."""
    return np.clip(x, np.float32(least), np.float32(most), out=x)


def operands(x: Floats) -> Floats:
    """Rounds sums to operands, 0..255, in place, and returns them."""
    np.rint(x, out=x)
    return clipped(x, 0, OPERAND_LIMIT)


def narrowed(x: Floats, step: int = OPERAND_STEP) -> Floats:
    """The operands that narrow layers make of activations: 128 + round(x / step), clamped to 0..255. step: a power of
    two."""
    out = x * np.float32(1 / step)
    np.rint(out, out=out)
    out += OPERAND_ZERO
    return clipped(out, 0, OPERAND_LIMIT)


def halves(x: Floats, step: int) -> tuple[Floats, Floats]:
    """Splits integers: how many steps, rounded down, and the rest, 0..step - 1. step: a power of two."""
    upper = np.floor(x * np.float32(1 / step))
    return upper, x - upper * np.float32(step)
