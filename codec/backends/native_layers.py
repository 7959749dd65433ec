"""`Layers` by the compiled kernels (kernels/), for one level of the processor's instructions.

The results are numpy's to the bit, in a tenth of the time. This module packs weights into the kernels' layouts, checks
sizes, which the kernels do not, and shares positions among threads.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from ctypes import byref, pointer
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ..machine.threads import in_threads, lock_across_forks
from ..model.arrays import AnyArray, Floats, Latents, Pixels, ScaleIndices
from ..model.config import LATENT_FRACTION, OPERAND_STEP, OPERAND_ZERO, PATCH, TABLE_ROWS
from ..model.constants import CLASSES, HALF, MEAN_LIMIT, MEAN_ONE, SCALE_ONE
from ..model.integer_weights import BLOCK, IntegerWeights, Numbers
from .kernels import coding, entropy
from .kernels.instructions import Block, Input, Kernels, Layer, Parameters, Shape, Term, address, check, keeping
from .numpy_layers import HostArrays

T = TypeVar("T")

BYTES, NARROW, UPPER, LOWER, BOTH = range(5)
"""Ways to make a layer's operands of its input, as enumerated in kernels.h."""

WEIGHTS = {1: np.float32, 4: np.int8}
"""The dtype of packed weights, by how many share 32 bits (`Kernels.group`)."""

OPERANDS = {(1, False): np.float32, (4, False): np.uint8, (4, True): np.int8}
"""The dtype of operands in memory, by how many share 32 bits, and whether they are stored less an offset."""

LONGEST_RUN = 4
"""The constant of this name in kernels.h."""


_making = lock_across_forks()
"""Held while a layer is brought into the form that kernels take."""


class NativeLayers(HostArrays):
    """`Layers` by the kernels of one level of instructions. What is packed for them is made once and kept."""

    def __init__(self, weights: IntegerWeights, kernels: Kernels) -> None:
        super().__init__(weights)
        self._kernels = kernels
        self._layer, self._block, self._halves = once(self._make_layer), once(self._make_block), once(self._make_halves)
        self.round_latents = partial(coding.round_latents, kernels)
        self.squared_errors = partial(coding.squared_errors, kernels)
        self.encode_steps = partial(entropy.encode_steps, kernels)
        self.step_decoder = partial(entropy.StepDecoder, kernels)
        self.place = partial(coding.place_latents, kernels)

    def narrow(self, name: str, x: Floats, step: int = OPERAND_STEP) -> Floats:
        return self._product(x, (self._layer(name), _input(x, NARROW, step)))

    def wide(
        self, name: str, x: AnyArray, step: int, limit: int, *, scale: Floats | None = None, gain: Floats | None = None
    ) -> Floats:
        limits, layer = (-limit, limit), self._layer(name)
        upper = self._layer(name, step), _input(x, UPPER, step, limits, scale=scale)
        return self._product(x, upper, (layer, _input(x, LOWER, step, limits, scale=scale)), gain=gain)

    def linear(self, name: str, x: Latents, scale: Floats) -> Floats:
        # 128 is added before the split, so that lower bytes, too, are around 128.
        limits = -HALF * OPERAND_ZERO - OPERAND_ZERO, HALF * OPERAND_ZERO - 1 - OPERAND_ZERO
        upper, both = (_input(x, kind, HALF, limits, OPERAND_ZERO, scale) for kind in (UPPER, BOTH))
        return self._product(x, (self._layer(f"{name}.top"), upper), (self._layer(f"{name}.middle"), both))

    def fine(self, name: str, pixels: Pixels, gain: Floats | None = None) -> Floats:
        terms = ((self._layer(f"{name}.{half}"), _input(pixels, BYTES)) for half in ("upper", "lower"))
        return self._product(pixels, *terms, gain=gain)

    def blocks(self, name: str, x: Floats, count: int) -> Floats:
        images, height, width, channels = x.shape
        kernels, shape = self._kernels, byref(Shape(images, height, width))
        bordered = (images, height + 2, width + 2, self._depth(channels))
        mixed = np.full(bordered, -kernels.offset, OPERANDS[kernels.group, bool(kernels.offset)])
        positions, data, buffer = images * height * width, address(x), address(mixed)
        for index in range(count):
            block = self._block(f"{name}.{index}")
            check(block.mix.inputs == channels, name)
            in_threads(partial(kernels.mix, byref(block), data, buffer, shape), positions)
            in_threads(partial(kernels.rest, byref(block), data, buffer, shape), positions)
        return x

    def parameters(
        self, name: str, x: Floats, sigmas: list[Floats], log_sigmas: list[Floats]
    ) -> tuple[Floats, ScaleIndices]:
        images, height, width, channels = x.shape
        size = len(sigmas[0])
        means = np.empty((len(CLASSES), images, height // 2, width // 2, size), np.float32)
        scale_indices = np.empty(means.shape, np.uint8)
        shape, data = byref(Shape(images, height, width)), address(x)
        for k, place in enumerate(CLASSES):
            halves = self._halves(f"{name}.classes.{k}")
            check(all((half.inputs, half.outputs) == (channels, size) for half in halves), name)
            sigma, log_sigma = (
                _padded(values, self._pairs(size))
                for values in (sigmas[k] * np.float32(LATENT_FRACTION / MEAN_ONE), log_sigmas[k])
            )
            addresses = sigma.ctypes.data, log_sigma.ctypes.data
            given = Parameters(*halves, *addresses, MEAN_LIMIT, 1 / SCALE_ONE, TABLE_ROWS - 1, *place)
            own = byref(keeping(given, halves, sigma, log_sigma))
            to = address(means[k]), address(scale_indices[k])
            in_threads(partial(self._kernels.parameters, own, data, *to, shape), means[k].size // size)
        return means, scale_indices

    def with_logs(self, name: str, y: Floats) -> Floats:
        return coding.with_logs(self._kernels, self._weights.logs(name), y)

    def samples(self, patches: Floats, corrections: Floats) -> Pixels:
        images, height, width, _ = patches.shape
        small = (images, 2 * height, 2 * width, 3 * PATCH**2 // 4)
        check(patches.shape[-1] == 3 * PATCH**2 and corrections.shape == small, "pixels")
        out = np.empty((images, height * PATCH, width * PATCH, 3), np.uint8)
        arguments = address(patches), address(corrections), address(out), byref(Shape(images, height, width))
        in_threads(partial(self._kernels.samples, *arguments), images * height, 8)
        return out

    def _product(self, x: AnyArray, *terms: tuple[Layer, Input], gain: Floats | None = None) -> Floats:
        """The outputs [..., outputs] for the positions of x [..., channels]: the sums of one layer, or of two added up.
        terms: each layer with its input."""
        outputs = terms[0][0].outputs
        for layer, data in terms:
            inputs = x.shape[-1] * (2 if data.kind == BOTH else 1)
            check((layer.inputs, layer.outputs) == (inputs, outputs), "a layer")
        out = np.empty((*x.shape[:-1], outputs), np.float32)
        factors = None if gain is None else address(np.resize(gain, outputs))
        structures = (Term * len(terms))(*(Term(pointer(layer), data) for layer, data in terms))
        arguments = keeping(structures, terms), len(terms), factors, address(out)
        in_threads(partial(self._kernels.product, *arguments), out.size // outputs)
        return out

    def _make_layer(self, name: str, step: int = 1) -> Layer:
        """The packed layer of this name. step: if above 1, the layer is for the upper parts of inputs that are split
        into multiples of `step` and a rest. Its bias takes away the 128 that is added to operands, while that of the
        weights file goes with the rest."""
        weight, bias, multiplier = self._weights.numbers(name)
        if step > 1:
            bias = weight.sum(axis=1, dtype=np.float32) * np.float32(-OPERAND_ZERO)
            multiplier = multiplier * np.float32(step)
        return self._packed(Numbers(weight, bias, multiplier))

    def _make_halves(self, name: str) -> tuple[Layer, Layer]:
        """The packed layer of this name as two: the outputs for means, and those for log-scales."""
        weight, bias, multiplier = self._weights.numbers(name)
        size = len(bias) // 2
        means = Numbers(weight[:size], bias[:size], multiplier[:size])
        return self._packed(means), self._packed(Numbers(weight[size:], bias[size:], multiplier[size:]))

    def _make_block(self, name: str) -> Block:
        """The packed residual block of this name. Raises WeightsError if the sizes of its layers do not fit."""
        parts = {key: self._layer(f"{name}.{key}") for key in BLOCK}
        spatial = self._weights.numbers(f"{name}.spatial")
        channels = parts["mix"].inputs
        sizes = {key: (outputs * channels, inputs * channels) for key, (outputs, inputs) in BLOCK.items()}
        check({key: (part.outputs, part.inputs) for key, part in parts.items()} == sizes, name)
        check(spatial.weight.shape == (channels, 9), name)
        depth = self._depth(channels)
        weight = _padded(spatial.weight.T.astype(np.float32), depth)
        arrays = (weight, _padded(spatial.bias, depth), _padded(spatial.multiplier, depth))
        addresses = (array.ctypes.data for array in arrays)
        block = Block(parts["mix"], *addresses, *(parts[key] for key in ("project", "value", "gate", "contract")))
        return keeping(block, arrays, parts)

    def _packed(self, numbers: Numbers) -> Layer:
        """The layer in the layout of kernels.h: weights in words of 32 bits, padded with zeros, for two vectors of
        outputs at a time; the offset that operands are stored less made up for by the bias."""
        group, tile = self._kernels.group, self._kernels.lanes * (1 if self._kernels.order else 2)
        outputs, inputs = numbers.weight.shape
        depth = self._depth(inputs)
        weight = np.zeros((self._pairs(outputs), depth), WEIGHTS[group])
        weight[:outputs, :inputs] = numbers.weight
        bias, multiplier = (_padded(values, len(weight)) for values in numbers[1:])
        bias += weight.sum(axis=1, dtype=np.float32) * np.float32(self._kernels.offset)
        bias = bias if group == 1 else bias.astype(np.int32)
        # As int32 words, which hold one float32 or four int8.
        packed = np.ascontiguousarray(weight.view(np.int32).reshape(-1, tile, depth // group).transpose(0, 2, 1))
        packed, order = self._ordered(packed) if self._kernels.order else (packed, np.empty(0, np.int32))
        arrays = (packed, bias, multiplier, order)
        return keeping(Layer(*(array.ctypes.data for array in arrays), packed.shape[1], inputs, outputs), arrays)

    def _ordered(self, words: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """The words of weights, [vectors, words, lanes], in the order in which kernels can add up products in 16 bits,
        and that order (cae_order in kernels.h). Raises MemoryError."""
        vectors, count, lanes = words.shape
        ordered = np.empty((vectors, 2 * count, lanes), np.int32)
        order = np.empty((vectors, LONGEST_RUN + 2 * count), np.int32)
        addresses = order.ctypes.data, ordered.ctypes.data
        steps = self._kernels.order(words.ctypes.data, vectors, count, lanes, *addresses)
        if steps < 0:
            raise MemoryError
        return ordered[:, :steps].copy(), order[:, : LONGEST_RUN + steps].copy()

    def _depth(self, channels: int) -> int:
        """The number of inputs that a layer of this many is padded to."""
        depth: int = self._kernels.depth
        return -(-channels // depth) * depth

    def _pairs(self, outputs: int) -> int:
        """The number of outputs that a layer of this many is padded to."""
        pair: int = 2 * self._kernels.lanes
        return -(-outputs // pair) * pair


def once(make: Callable[..., T]) -> Callable[..., T]:
    """A function that returns make(*arguments) and keeps it, and calls `make` only once for all threads."""
    kept = functools.cache(make)

    def call(*arguments: Hashable) -> T:
        with _making:
            return kept(*arguments)

    return call


def _input(
    x: AnyArray,
    kind: int,
    step: int = 1,
    limits: tuple[int, int] = (0, 0),
    offset: int = 0,
    scale: Floats | None = None,
) -> Input:
    """The description for kernels of x [..., channels] as a layer's input: of which kind operands are, in which steps,
    after which scale, limits and offset. Raises WeightsError for an x of another dtype than the kind takes."""
    x = np.ascontiguousarray(x)
    check(x.dtype in ((np.uint8,) if kind == BYTES else (np.float32, np.int32)), "a layer")
    factors = None if scale is None else np.ascontiguousarray(np.broadcast_to(scale, x.shape[-1:]))
    address = None if factors is None else factors.ctypes.data
    given = Input(x.ctypes.data, address, kind, step.bit_length() - 1, x.dtype == np.int32, *limits, offset)
    return keeping(given, x, factors)


def _padded(values: Floats, length: int) -> Floats:
    """A float32 copy with zeros after the end of the last axis, which gets this length."""
    out = np.zeros((*values.shape[:-1], length), np.float32)
    out[..., : values.shape[-1]] = values
    return out
