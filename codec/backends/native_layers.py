"""`Layers` by this processor's own instructions: kernels/, which is compiled where a C compiler is at hand.

What it gives is what numpy gives, to the bit, in a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import byref, pointer
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..machine.threads import in_threads, lock_across_forks
from ..model.arrays import Floats, Latents, Pixels
from ..model.config import LATENT_FRACTION, OPERAND_STEP, OPERAND_ZERO, PATCH, TABLE_ROWS
from ..model.constants import CLASSES, HALF, MEAN_LIMIT, MEAN_ONE, SCALE_ONE
from ..model.integer_weights import IntegerWeights, Numbers
from .kernels import coding
from .kernels.coding import Costs
from .kernels.instructions import Block, Input, Kernels, Layer, Parameters, Shape, Term, address, check, keeping
from .numpy_layers import HostArrays

BYTES, NARROW, UPPER, LOWER, BOTH = range(5)
"""Kinds of inputs."""

WEIGHTS = {1: np.float32, 4: np.int8}
"""Of how many bits weights are, if so many share 32."""

OPERANDS = {(1, False): np.float32, (4, False): np.uint8, (4, True): np.int8}
"""The same of operands, and whether they are less by an offset."""

LONGEST_RUN = 4
"""Of kernels/kernels.h."""


_making = lock_across_forks()
"""Held while a layer is brought into the form that kernels take."""


class NativeLayers(HostArrays):
    """`Layers` by the kernels of a level."""

    def __init__(self, weights: IntegerWeights, kernels: Kernels) -> None:
        super().__init__(weights)
        self._kernels = kernels
        self._made: dict[tuple[Any, ...], Any] = {}

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
    ) -> tuple[Floats, npt.NDArray[np.uint8]]:
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

    def place(self, step: int, means: Floats, symbols: npt.NDArray[np.int32], latents: Latents) -> None:
        coding.place_latents(self._kernels, step, means, symbols, latents)

    def samples(self, patches: Floats, corrections: Floats) -> Pixels:
        images, height, width, _ = patches.shape
        small = (images, 2 * height, 2 * width, 3 * PATCH**2 // 4)
        check(patches.shape[-1] == 3 * PATCH**2 and corrections.shape == small, "pixels")
        out = np.empty((images, height * PATCH, width * PATCH, 3), np.uint8)
        arguments = address(patches), address(corrections), address(out), byref(Shape(images, height, width))
        in_threads(partial(self._kernels.samples, *arguments), images * height, 8)
        return out

    def round_latents(
        self,
        costs: Costs,
        step: int,
        means: Floats,
        scale_indices: npt.NDArray[np.uint8],
        y: Floats,
        sigma_in_steps: Floats,
        rd_weight: Floats,
    ) -> npt.NDArray[np.int32]:
        return coding.round_latents(self._kernels, costs, step, means, scale_indices, y, sigma_in_steps, rd_weight)

    def squared_errors(self, x: Pixels, y: Pixels) -> tuple[float, float]:
        return coding.squared_errors(self._kernels, x, y)

    def _product(self, x: npt.NDArray[Any], *terms: tuple[Layer, Input], gain: Floats | None = None) -> Floats:
        """The sums of one term, or of two, for the positions of x. A term: a layer, and what it takes."""
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

    def _once(self, make: Callable[..., Any], *arguments: Any) -> Any:
        """What is made of the weights, for all threads once: kernels have its address."""
        with _making:
            if (make, *arguments) not in self._made:
                self._made[make, *arguments] = make(*arguments)
            return self._made[make, *arguments]

    def _layer(self, name: str, step: int = 1) -> Layer:
        """step: what the sums are multiplied by, if those of upper halves of numbers around 0."""
        layer: Layer = self._once(self._make_layer, name, step)
        return layer

    def _block(self, name: str) -> Block:
        block: Block = self._once(self._make_block, name)
        return block

    def _halves(self, name: str) -> tuple[Layer, Layer]:
        """Two layers of one: means and log-scales."""
        halves: tuple[Layer, Layer] = self._once(self._make_halves, name)
        return halves

    def _make_layer(self, name: str, step: int) -> Layer:
        weight, bias, multiplier = self._weights.numbers(name)
        if step > 1:
            bias = weight.sum(axis=1, dtype=np.float32) * np.float32(-OPERAND_ZERO)
            multiplier = multiplier * np.float32(step)
        return self._packed(Numbers(weight, bias, multiplier))

    def _make_halves(self, name: str) -> tuple[Layer, Layer]:
        weight, bias, multiplier = self._weights.numbers(name)
        size = len(bias) // 2
        means = Numbers(weight[:size], bias[:size], multiplier[:size])
        return self._packed(means), self._packed(Numbers(weight[size:], bias[size:], multiplier[size:]))

    def _make_block(self, name: str) -> Block:
        parts = {key: self._layer(f"{name}.{key}") for key in ("mix", "project", "value", "gate", "contract")}
        spatial = self._weights.numbers(f"{name}.spatial")
        channels, wide = parts["mix"].inputs, parts["contract"].inputs
        sizes = {"mix": (channels, channels), "project": (channels, channels), "contract": (wide, channels)}
        sizes |= {"value": (channels, wide), "gate": (channels, wide)}
        check({key: (part.inputs, part.outputs) for key, part in parts.items()} == sizes, name)
        check(spatial.weight.shape == (channels, 9), name)
        depth = self._depth(channels)
        weight = _padded(spatial.weight.T.astype(np.float32), depth)
        arrays = (weight, _padded(spatial.bias, depth), _padded(spatial.multiplier, depth))
        addresses = (array.ctypes.data for array in arrays)
        block = Block(parts["mix"], *addresses, *(parts[key] for key in ("project", "value", "gate", "contract")))
        return keeping(block, arrays, parts)

    def _packed(self, numbers: Numbers) -> Layer:
        group, tile = self._kernels.group, self._kernels.lanes * (1 if self._kernels.order else 2)
        outputs, inputs = numbers.weight.shape
        depth = self._depth(inputs)
        weight = np.zeros((self._pairs(outputs), depth), WEIGHTS[group])
        weight[:outputs, :inputs] = numbers.weight
        bias, multiplier = (_padded(values, len(weight)) for values in numbers[1:])
        bias += weight.sum(axis=1, dtype=np.float32) * np.float32(self._kernels.offset)
        bias = bias if group == 1 else bias.astype(np.int32)
        # Words of 32 bits, whatever they hold.
        packed = np.ascontiguousarray(weight.view(np.int32).reshape(-1, tile, depth // group).transpose(0, 2, 1))
        packed, order = self._ordered(packed) if self._kernels.order else (packed, np.empty(0, np.int32))
        arrays = (packed, bias, multiplier, order)
        return keeping(Layer(*(array.ctypes.data for array in arrays), packed.shape[1], inputs, outputs), arrays)

    def _ordered(self, words: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """What the kernels need to add up products in 16 bits. words: [vectors, words, lanes]."""
        vectors, count, lanes = words.shape
        ordered = np.empty((vectors, 2 * count, lanes), np.int32)
        order = np.empty((vectors, LONGEST_RUN + 2 * count), np.int32)
        addresses = order.ctypes.data, ordered.ctypes.data
        steps = self._kernels.order(words.ctypes.data, vectors, count, lanes, *addresses)
        if steps < 0:
            raise MemoryError
        return ordered[:, :steps].copy(), order[:, : LONGEST_RUN + steps].copy()

    def _depth(self, channels: int) -> int:
        """As many as the inputs of a layer are padded to."""
        depth: int = self._kernels.depth
        return -(-channels // depth) * depth

    def _pairs(self, outputs: int) -> int:
        """As many as the outputs of a layer are padded to."""
        pair: int = 2 * self._kernels.lanes
        return -(-outputs // pair) * pair


def _input(
    x: npt.NDArray[Any],
    kind: int,
    step: int = 1,
    limits: tuple[int, int] = (0, 0),
    offset: int = 0,
    scale: Floats | None = None,
) -> Input:
    x = np.ascontiguousarray(x)
    check(x.dtype in ((np.uint8,) if kind == BYTES else (np.float32, np.int32)), "a layer")
    factors = None if scale is None else np.ascontiguousarray(np.broadcast_to(scale, x.shape[-1:]))
    address = None if factors is None else factors.ctypes.data
    given = Input(x.ctypes.data, address, kind, step.bit_length() - 1, x.dtype == np.int32, *limits, offset)
    return keeping(given, x, factors)


def _padded(values: Floats, length: int) -> Floats:
    """With zeros at the end of the last axis."""
    out = np.zeros((*values.shape[:-1], length), np.float32)
    out[..., : values.shape[-1]] = values
    return out
