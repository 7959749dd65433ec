"""`networks.Networks` in numpy: what codes where torch is not installed, or would take longer to import.

The results are those of frozen.py, analysis.py and synthesis.py in tensors/ to the bit; what is said there of the
numbers holds here. Arrays are float32 [B, h, w, channels] unless said otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from ...bitstream.errors import WeightsError
from ...bitstream.tables import ProbabilityTables
from ..config import (
    ACTIVATION_LIMIT,
    LATENT_FRACTION,
    OPERAND_STEP,
    OPERAND_ZERO,
    PATCH,
    TABLE_ROWS,
    ModelConfig,
)
from ..files import FileCoder
from ..installed import find_weights, parse, read_weights
from ..integers import (
    CLASSES,
    DEVIATION_LIMIT,
    HALF,
    INPUT_LIMIT,
    INPUT_ONE,
    MEAN_LIMIT,
    MEAN_ONE,
    SCALE_ONE,
    STEPS,
    group_of,
)
from ..networks import Floats, Latents, Pixels, Resolve
from .layers import (
    LightLayers,
    clipped,
    depth_to_space,
    halves,
    limited,
    narrowed,
    operands,
    space_to_depth,
)


class LightNetworks:
    """Of the tensors of a weights file."""

    def __init__(self, config: ModelConfig, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Raises KeyError for a tensor that is missing, WeightsError where the tables of probabilities are none."""
        self.halo, self.channels = config.halo, config.latent_channels
        self._config = config
        self._layers = LightLayers(tensors)
        self.probabilities = ProbabilityTables(tensors["half_widths"], tensors["counts"])
        self.unit, self.worth = tensors["unit"], tensors["worth"]
        self.rate_weight, self.hyper_rows = tensors["rate_weight"], tensors["hyper_rows"]

    def analyse(self, images: Pixels, row: int) -> Floats:
        """Latents in standard deviations."""
        layers, config = self._layers, self._config
        pixels = images.astype(np.float32)
        x = layers.fine("latents.enter", space_to_depth(pixels, PATCH // 2)) * layers.row("latents.gain_8", row)
        x = limited(space_to_depth(layers.blocks("latents.blocks_8", x, config.blocks_8), 2))
        x = layers.wide("latents.down", x, OPERAND_STEP) * layers.row("latents.gain_16", row)
        x = limited(layers.blocks("latents.blocks_16", x, config.blocks_16))
        y = layers.wide("latents.leave", x, OPERAND_STEP) * layers.row("latents.reach", row)
        y += layers.fine("latents.linear", space_to_depth(pixels, PATCH))
        return y

    def analyse_hyper(self, y: Floats, row: int) -> npt.NDArray[np.int32]:
        """Hyper-latents."""
        layers, name = self._layers, "hyper_latents"
        inputs = np.rint(y * np.float32(INPUT_ONE))
        clipped(inputs, -INPUT_LIMIT, INPUT_LIMIT)
        logs = layers.tensor(f"{name}.logs").astype(np.float32)[np.abs(inputs).astype(np.intp)]
        x = layers.wide(f"{name}.enter", np.concatenate([inputs, logs], axis=-1), HALF)
        x = layers.blocks(f"{name}.blocks_16", x * layers.row(f"{name}.gain", row), 1)
        x = layers.wide(f"{name}.down_32", limited(space_to_depth(x, 2)), OPERAND_STEP)
        x = limited(space_to_depth(layers.blocks(f"{name}.blocks_32", x, 1), 2))
        z = np.rint(layers.wide(f"{name}.down_64", x, OPERAND_STEP))
        return clipped(z, -ACTIVATION_LIMIT, ACTIVATION_LIMIT).astype(np.int32)

    def walk(self, z: npt.NDArray[np.int32], row: int, resolve: Resolve) -> Latents:
        """Latents from hyper-latents."""
        features = self._hyper_synthesis(z.astype(np.float32), row)
        latents = np.zeros((*features.shape[:3], self.channels), np.float32)
        known = np.zeros_like(latents)
        for step in range(STEPS):
            self._take_step(features, latents, known, step, row, resolve)
        return latents.astype(np.int32)

    def synthesise(self, latents: Latents, row: int) -> Pixels:
        """Pixels."""
        layers, config = self._layers, self._config
        steps = latents.astype(np.float32)
        levels = np.rint(steps * layers.row("pixels.levels", row))
        levels = clipped(levels + OPERAND_ZERO, -HALF * OPERAND_ZERO, HALF * OPERAND_ZERO - 1)
        upper, lower = halves(levels, HALF)
        upper += OPERAND_ZERO
        linear = layers.product("pixels.linear.top", upper)
        linear += layers.product("pixels.linear.middle", np.concatenate([upper, lower], axis=-1))

        deviations = np.rint(steps * layers.row("pixels.deviations", row))
        clipped(deviations, -DEVIATION_LIMIT, DEVIATION_LIMIT)
        x = layers.wide("pixels.enter", deviations, HALF) * layers.row("pixels.gain_16", row)
        x = limited(layers.blocks("pixels.blocks_16", x, config.blocks_16))
        x = layers.wide("pixels.up", x, OPERAND_STEP) * np.tile(layers.row("pixels.gain_8", row), 4)
        x = limited(layers.blocks("pixels.blocks_8", depth_to_space(x, 2), config.blocks_8))
        correction = layers.wide("pixels.leave", x, OPERAND_STEP) * layers.row("pixels.reach", row)
        image = depth_to_space(linear, PATCH)
        image += depth_to_space(correction, PATCH // 2)
        np.rint(image, out=image)
        return clipped(image, 0, 255).astype(np.uint8)

    def _hyper_synthesis(self, z: Floats, row: int) -> Floats:
        layers, name = self._layers, "prior.hyper_synthesis"
        x = depth_to_space(layers.product(f"{name}.enter", operands(z + OPERAND_ZERO)), 2)
        x += layers.row(f"{name}.rate.rows", row)
        x = layers.blocks(f"{name}.blocks_32", x, 1)
        x = depth_to_space(layers.product(f"{name}.up", narrowed(x)), 2)
        return layers.blocks(f"{name}.blocks_16", x, 1)

    def _take_step(
        self, features: Floats, latents: Floats, known: Floats, step: int, row: int, resolve: Resolve
    ) -> None:
        """Puts what a step codes into the latents, in sixteenths of a step, and into `known`, the networks' input."""
        layers, name = self._layers, f"prior.steps.{step}"
        if step:
            x = layers.wide(f"{name}.enter", known, HALF)
            x += features * layers.tensor(f"{name}.add.ratio")
        else:
            x = features.copy()  # blocks work in place
        x = narrowed(layers.blocks(f"{name}.blocks", x, self._config.context_blocks))
        unit, inverse, log_unit = (layers.row(key, row) for key in ("unit", "inverse_unit", "log_unit"))
        size = self.channels // 4
        groups = [slice(group_of(k, step) * size, (group_of(k, step) + 1) * size) for k in range(4)]
        means, rows = [], []
        for k, (down, right) in enumerate(CLASSES):
            out = layers.product(f"{name}.leave.classes.{k}", np.ascontiguousarray(x[:, down::2, right::2]))
            mean, log_scale = out[..., :size], out[..., size:]
            mean = np.rint(mean * (unit[groups[k]] * np.float32(LATENT_FRACTION / MEAN_ONE)))
            means.append(clipped(mean, -MEAN_LIMIT, MEAN_LIMIT))
            scale = np.rint(log_unit[groups[k]] + log_scale * np.float32(1 / SCALE_ONE))
            rows.append(clipped(scale, 0, TABLE_ROWS - 1).astype(np.uint8))
        values = np.stack(means)
        values += LATENT_FRACTION * resolve(step, values, np.stack(rows)).astype(np.float32)
        for k, (down, right) in enumerate(CLASSES):
            latents[:, down::2, right::2, groups[k]] = values[k]
            inputs = np.rint(values[k] * inverse[groups[k]])
            known[:, down::2, right::2, groups[k]] = clipped(inputs, -INPUT_LIMIT, INPUT_LIMIT)


def load_light(fingerprint: bytes | None = None) -> FileCoder:
    """What codes files with the installed weights of this fingerprint, or those for new files if None; loaded once.
    Raises WeightsError."""
    return _load_light(fingerprint or find_weights().fingerprint)


@functools.cache
def _load_light(fingerprint: bytes) -> FileCoder:
    weights = find_weights(fingerprint=fingerprint)
    config, tensors = parse(read_weights(weights), str(weights.path), safetensors.numpy.load)
    try:
        return FileCoder(LightNetworks(config, tensors), weights.fingerprint)
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{weights.path} does not hold the tensors of this model: {error}") from error
