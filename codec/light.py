"""The networks of the decoder in numpy: what decodes where torch is not installed, or would take longer to import.

All that counts is whole numbers below 2^24, or one IEEE 754 operation after another, so the results are those of
frozen.py and synthesis.py to the bit; what is said there of the numbers holds here. Arrays are float32
[h, w, channels] unless said otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from ..bitstream.container import Tile, latents_checksum
from ..bitstream.entropy import StepDecoder
from ..bitstream.errors import DecodeMismatchError, WeightsError
from ..bitstream.tables import ProbabilityTables
from .config import (
    ACTIVATION_LIMIT,
    LATENT_FRACTION,
    OPERAND_LIMIT,
    OPERAND_STEP,
    OPERAND_ZERO,
    PATCH,
    TABLE_ROWS,
    ModelConfig,
)
from .installed import find_weights, parse, read_weights
from .integers import (
    ACCUMULATOR_LIMIT,
    CLASSES,
    DEVIATION_LIMIT,
    GATE_LIMIT,
    HALF,
    INPUT_LIMIT,
    MEAN_LIMIT,
    MEAN_ONE,
    SCALE_ONE,
    STEPS,
    group_of,
)
from .windows import Latents, Pixels

Floats = npt.NDArray[np.float32]

CACHED_POSITIONS = 2048
"""A block's wide layers take so many positions at a time, whose values then stay in the cache."""


class _Layer(NamedTuple):
    """Of whole numbers times powers of two. weight: [inputs, outputs], or [9, channels] of a depthwise convolution."""

    weight: Floats
    bias: Floats


class LightNetworks:
    """`windows.Networks` of the tensors of a weights file."""

    def __init__(self, config: ModelConfig, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Raises KeyError for a tensor that is missing, WeightsError where sums would not be exact."""
        self.halo, self.channels = config.halo, config.latent_channels
        self._blocks = {"8": config.blocks_8, "16": config.blocks_16, "context": config.context_blocks}
        self._tensors = tensors
        self._probabilities = ProbabilityTables(tensors["half_widths"], tensors["counts"])
        self._layer = functools.cache(self._read_layer)

    def latents(self, tile: Tile, height: int, width: int, row: int) -> Latents:
        """A tile's, int32 [height, width, M]. Raises CorruptError, DecodeMismatchError."""
        decoder = StepDecoder(self._probabilities, tile.payload)
        rows = self._tensors["hyper_rows"][row]
        cells = height // 4, width // 4
        z = decoder.decode(np.tile(rows, cells[0] * cells[1])).reshape(*cells, len(rows))
        features = self._hyper_synthesis(z.astype(np.float32), row)
        latents = np.zeros((height, width, self.channels), np.float32)
        known = np.zeros_like(latents)
        for step in range(STEPS):
            self._decode_step(decoder, features, latents, known, step, row)
        decoder.finish()
        decoded = latents.astype(np.int32)
        if latents_checksum(decoded) != tile.latents_checksum:
            raise DecodeMismatchError("the decoded latents are not those that were encoded")
        return decoded

    def pixels(self, latents: Latents, row: int) -> Pixels:
        """uint8 [16h, 16w, 3]."""
        steps = latents.astype(np.float32)
        levels = np.rint(steps * self._row("pixels.levels", row))
        levels = _clipped(levels + OPERAND_ZERO, -HALF * OPERAND_ZERO, HALF * OPERAND_ZERO - 1)
        upper, lower = _halves(levels, HALF)
        upper += OPERAND_ZERO
        linear = self._product("pixels.linear.top", upper)
        linear += self._product("pixels.linear.middle", np.concatenate([upper, lower], axis=-1))
        image = _depth_to_space(linear, PATCH)

        deviations = np.rint(steps * self._row("pixels.deviations", row))
        _clipped(deviations, -DEVIATION_LIMIT, DEVIATION_LIMIT)
        x = self._wide("pixels.enter", deviations, HALF) * self._row("pixels.gain_16", row)
        x = self._block_row("pixels.blocks_16", x, self._blocks["16"])
        x = self._wide("pixels.up", _limited(x), OPERAND_STEP) * np.tile(self._row("pixels.gain_8", row), 4)
        x = self._block_row("pixels.blocks_8", _depth_to_space(x, 2), self._blocks["8"])
        correction = self._wide("pixels.leave", _limited(x), OPERAND_STEP) * self._row("pixels.reach", row)
        h, w, _ = correction.shape
        image.reshape(h, 8, w, 8, 3)[...] += correction.reshape(h, w, 8, 8, 3).transpose(0, 2, 1, 3, 4)
        np.rint(image, out=image)
        return _clipped(image, 0, 255).astype(np.uint8)

    def _hyper_synthesis(self, z: Floats, row: int) -> Floats:
        name = "prior.hyper_synthesis"
        x = _depth_to_space(self._product(f"{name}.enter", _operands(z + OPERAND_ZERO)), 2)
        x += self._row(f"{name}.rate.rows", row)
        x = self._block_row(f"{name}.blocks_32", x, 1)
        x = _depth_to_space(self._product(f"{name}.up", _narrowed(x)), 2)
        return self._block_row(f"{name}.blocks_16", x, 1)

    def _decode_step(
        self, decoder: StepDecoder, features: Floats, latents: Floats, known: Floats, step: int, row: int
    ) -> None:
        """Puts what a step codes into the latents, in sixteenths of a step, and into `known`, the networks' input."""
        name = f"prior.steps.{step}"
        if step:
            x = self._wide(f"{name}.enter", known, HALF)
            x += features * self._tensors[f"{name}.add.ratio"]
        else:
            x = features.copy()  # blocks work in place
        x = _narrowed(self._block_row(f"{name}.blocks", x, self._blocks["context"]))
        unit, inverse, log_unit = (self._row(key, row) for key in ("unit", "inverse_unit", "log_unit"))
        size = self.channels // 4
        means, rows = [], []
        for k, (down, right) in enumerate(CLASSES):
            group = slice(group_of(k, step) * size, (group_of(k, step) + 1) * size)
            out = self._product(f"{name}.leave.classes.{k}", np.ascontiguousarray(x[down::2, right::2]))
            mean, log_scale = out[..., :size], out[..., size:]
            mean = np.rint(mean * (unit[group] * np.float32(LATENT_FRACTION / MEAN_ONE)))
            means.append(_clipped(mean, -MEAN_LIMIT, MEAN_LIMIT))
            scale = np.rint(log_unit[group] + log_scale * np.float32(1 / SCALE_ONE))
            rows.append(_clipped(scale, 0, TABLE_ROWS - 1).astype(np.uint8))
        symbols = decoder.decode(np.stack(rows).ravel()).reshape(np.shape(means))
        for k, (down, right) in enumerate(CLASSES):
            group = slice(group_of(k, step) * size, (group_of(k, step) + 1) * size)
            value = means[k] + LATENT_FRACTION * symbols[k].astype(np.float32)
            latents[down::2, right::2, group] = value
            inputs = np.rint(value * inverse[group])
            known[down::2, right::2, group] = _clipped(inputs, -INPUT_LIMIT, INPUT_LIMIT)

    def _row(self, name: str, row: int) -> Floats:
        return np.asarray(self._tensors[name][row], np.float32)

    def _read_layer(self, name: str) -> _Layer:
        weight = self._tensors[f"{name}.weight"].astype(np.float32)
        weight = weight.reshape(len(weight), -1)
        bias, multiplier = (self._tensors[f"{name}.{key}"].astype(np.float32) for key in ("bias", "multiplier"))
        sums = np.abs(weight).sum(axis=1, dtype=np.float64) * OPERAND_LIMIT + np.abs(bias)
        if not sums.max() < ACCUMULATOR_LIMIT or (np.frexp(multiplier)[0] != 0.5).any():
            raise WeightsError("integer weights are too large for exact arithmetic")
        return _Layer(np.ascontiguousarray((weight * multiplier[:, None]).T), bias * multiplier)

    def _product(self, name: str, u: Floats) -> Floats:
        """A 1x1 convolution of operands."""
        layer = self._layer(name)
        out = u.reshape(-1, u.shape[-1]) @ layer.weight
        out += layer.bias
        return out.reshape(*u.shape[:-1], -1)

    def _wide(self, name: str, x: Floats, step: int) -> Floats:
        """One of whole numbers of more bits: two exact sums, what they add up to is rounded."""
        upper, lower = _halves(x, step)
        layer = self._layer(name)
        out = (upper.reshape(-1, x.shape[-1]) @ layer.weight) * np.float32(step)
        out += self._product(name, lower).reshape(out.shape)
        return out.reshape(*x.shape[:-1], -1)

    def _depthwise(self, name: str, u: Floats) -> Floats:
        """A 3x3 convolution, zeros beyond the border."""
        layer = self._layer(name)
        height, width, channels = u.shape
        padded = np.zeros((height + 2, width + 2, channels), np.float32)
        padded[1:-1, 1:-1] = u
        out = np.empty_like(u)
        out[:] = layer.bias
        part = np.empty_like(u)
        for index, weight in enumerate(layer.weight):
            top, left = divmod(index, 3)
            out += np.multiply(padded[top : top + height, left : left + width], weight, out=part)
        return out

    def _block_row(self, name: str, x: Floats, count: int) -> Floats:
        for index in range(count):
            x = self._block(f"{name}.{index}", x)
        return x

    def _block(self, name: str, x: Floats) -> Floats:
        u = _operands(self._depthwise(f"{name}.spatial", _operands(self._product(f"{name}.mix", _narrowed(x)))))
        x += self._product(f"{name}.project", u)
        rows = max(1, CACHED_POSITIONS // x.shape[1])
        for part in (x[top : top + rows] for top in range(0, len(x), rows)):
            u = _narrowed(part)
            gate = self._product(f"{name}.gate", u)
            product = self._product(f"{name}.value", u)
            product *= _clipped(gate, 0, GATE_LIMIT)
            np.rint(product, out=product)
            product += OPERAND_ZERO
            part += self._product(f"{name}.contract", _clipped(product, 0, OPERAND_LIMIT))
        return x


@functools.cache
def load_light(fingerprint: bytes) -> LightNetworks:
    """The networks of the installed weights with this fingerprint, loaded once. Raises WeightsError."""
    weights = find_weights(fingerprint=fingerprint)
    config, tensors = parse(read_weights(weights), str(weights.path), safetensors.numpy.load)
    try:
        return LightNetworks(config, tensors)
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{weights.path} does not hold the tensors of this model: {error}") from error


def _clipped(x: Floats, least: float, most: float) -> Floats:
    """In place, so that x stays float32: numpy 1.26 makes float64 of it where a limit has many digits."""
    return np.clip(x, np.float32(least), np.float32(most), out=x)


def _limited(x: Floats) -> Floats:
    """Activations to whole numbers for wide layers, in place."""
    np.rint(x, out=x)
    return _clipped(x, -ACTIVATION_LIMIT, ACTIVATION_LIMIT)


def _operands(x: Floats) -> Floats:
    """Sums to operands, in place."""
    np.rint(x, out=x)
    return _clipped(x, 0, OPERAND_LIMIT)


def _narrowed(x: Floats) -> Floats:
    """The operands of activations."""
    out = x * np.float32(1 / OPERAND_STEP)
    np.rint(out, out=out)
    out += OPERAND_ZERO
    return _clipped(out, 0, OPERAND_LIMIT)


def _halves(x: Floats, step: int) -> tuple[Floats, Floats]:
    """How many steps, and what is left: from 0 to step - 1."""
    upper = np.floor(x * np.float32(1 / step))
    return upper, x - upper * np.float32(step)


def _depth_to_space(x: Floats, factor: int) -> Floats:
    """[h, w, f * f * C] -> [h * f, w * f, C], a copy."""
    h, w, channels = x.shape
    x = x.reshape(h, w, factor, factor, channels // factor**2).transpose(0, 2, 1, 3, 4)
    return x.reshape(h * factor, w * factor, channels // factor**2)
