"""The graph of the integer networks, which is the same for all back ends: `interface.Networks` in terms of `Layers`."""

from __future__ import annotations

import functools
from typing import Any, Generic

import numpy as np

from ..model.arrays import Floats, Latents, Pixels, Symbols
from ..model.config import ACTIVATION_LIMIT, OPERAND_STEP, OPERAND_ZERO, PATCH, ModelConfig
from ..model.constants import DEVIATION_LIMIT, HALF, INPUT_LIMIT, RUNAWAY, STEPS, group_of
from ..model.integer_weights import IntegerWeights, Restoration
from .interface import Resolve
from .kernels.instructions import levels
from .layers import Array, Layers, depth_to_space, space_to_depth
from .native_layers import NativeLayers
from .numpy_layers import ArrayLayers
from .previews import Preview

NUMPY = "numpy"
"""The name of numpy among the levels of instructions."""

WIDE_LIMIT = HALF * OPERAND_ZERO - 1
"""Largest integer of 16 bits with sign."""


class IntegerNetworks(Generic[Array]):
    """The networks of a weights file as `interface.Networks`. Methods take and return numpy's arrays; between layers
    arrays are those of the back end and stay on its device.
    """

    def __init__(self, weights: IntegerWeights, layers: Layers[Array]) -> None:
        config, tensors = weights.config, weights.tensors
        self.halo, self.channels = config.halo, config.latent_channels
        self.probabilities = weights.probabilities()
        self.sigma_in_steps, self.rd_weight = tensors["unit"], tensors["worth"]
        self.rate_weight, self.hyper_scale_indices = tensors["rate_weight"], tensors["hyper_rows"]
        self.round_latents, self.squared_errors = layers.round_latents, layers.squared_errors
        self.encode_steps, self.step_decoder = layers.encode_steps, layers.step_decoder
        self.preview = Preview(weights)
        self._config, self._layers, self._weights = config, layers, weights

    @functools.cached_property
    def colour_channels(self) -> list[int]:
        """The channels whose blocks the linear transform makes most nearly of one colour."""
        layer = self._weights.numbers("pixels.linear.top")
        blocks = (layer.weight * layer.multiplier[:, None]).reshape(PATCH**2, 3, -1)
        flat = (blocks.mean(axis=0) ** 2).sum(axis=0) / np.maximum((blocks**2).mean(axis=0).sum(axis=0), 1e-30)
        return sorted(np.argsort(-flat, kind="stable")[:3].tolist())

    def analyse(self, images: Pixels, rate_index: int) -> Floats:
        """The latents of images, in standard deviations."""
        layers = self._layers
        with layers.exact():
            pixels = layers.array(images)
            _, correction = self._correction(pixels, self._config, rate_index)
            y = layers.believed(correction, RUNAWAY)
            y += layers.fine("latents.linear", space_to_depth(pixels, PATCH))
            return layers.host(y)

    def _correction(self, pixels: Array, config: ModelConfig, rate_index: int) -> tuple[Array, Array]:
        """The features at 1/8 of an analysis transform, [B, h, w, 4 N], four to a latent position, and what its network
        adds to latents, [B, h, w, M]. config: of the transform."""
        layers = self._layers
        gain_8, gain_16, reach = self._rows("latents", ("gain_8", "gain_16", "reach"), rate_index)
        x = layers.fine("latents.enter", space_to_depth(pixels, PATCH // 2), gain_8)
        features = space_to_depth(layers.blocks("latents.blocks_8", x, config.blocks_8), 2)
        x = layers.wide("latents.down", features, OPERAND_STEP, ACTIVATION_LIMIT, gain=gain_16)
        x = layers.blocks("latents.blocks_16", x, config.blocks_16)
        return features, layers.wide("latents.leave", x, OPERAND_STEP, ACTIVATION_LIMIT, gain=reach)

    def analyse_linear(self, images: Pixels) -> Floats:
        """The latents of images, in standard deviations, by the linear transform alone."""
        with self._layers.exact():
            patches = space_to_depth(self._layers.array(images), PATCH)
            return self._layers.host(self._layers.fine("latents.linear", patches))

    def analyse_hyper(self, y: Floats, rate_index: int) -> Symbols:
        """The hyper-latents of latents."""
        layers, name = self._layers, "hyper_latents"
        with layers.exact():
            (gain,) = self._rows(name, ("gain",), rate_index)
            x = layers.with_logs(f"{name}.logs", layers.array(y))
            x = layers.wide(f"{name}.enter", x, HALF, WIDE_LIMIT, gain=gain)
            x = space_to_depth(layers.blocks(f"{name}.blocks_16", x, 1), 2)
            x = layers.wide(f"{name}.down_32", x, OPERAND_STEP, ACTIVATION_LIMIT)
            x = space_to_depth(layers.blocks(f"{name}.blocks_32", x, 1), 2)
            x = layers.wide(f"{name}.down_64", x, OPERAND_STEP, ACTIVATION_LIMIT)
            return layers.host(layers.whole(x, ACTIVATION_LIMIT))

    def run_context_steps(self, z: Symbols, rate_index: int, resolve: Resolve) -> Latents:
        """The decoded latents for hyper-latents, whose symbols `resolve` gives step by step."""
        layers = self._layers
        with layers.exact():
            features = self._hyper_synthesis(layers.array(z.astype(np.float32)), rate_index)
            latents = layers.zeros(*features.shape[:3], self.channels)
            for step in range(STEPS):
                means, scale_indices = self._predict(features, latents, step, rate_index)
                symbols = layers.array(resolve(step, layers.host(means), layers.host(scale_indices)))
                layers.place(step, means, symbols, latents)
            return layers.host(latents)

    def synthesise(self, latents: Latents, rate_index: int) -> Pixels:
        """The pixels of decoded latents."""
        layers, config = self._layers, self._config
        names = ("gain_16", "gain_8", "reach", "levels", "deviations")
        with layers.exact():
            given = layers.array(latents)
            gain_16, gain_8, reach, levels, deviations = self._rows("pixels", names, rate_index)
            patches = layers.linear("pixels.linear", given, levels)
            x = layers.wide("pixels.enter", given, HALF, DEVIATION_LIMIT, scale=deviations, gain=gain_16)
            x = layers.blocks("pixels.blocks_16", x, config.blocks_16)
            x = layers.wide("pixels.up", x, OPERAND_STEP, ACTIVATION_LIMIT, gain=gain_8)
            x = layers.blocks("pixels.blocks_8", depth_to_space(x, 2), config.blocks_8)
            corrections = layers.wide("pixels.leave", x, OPERAND_STEP, ACTIVATION_LIMIT, gain=reach)
            return layers.host(layers.samples(patches, corrections))

    def _rows(self, part: str, names: tuple[str, ...], rate_index: int) -> list[Array]:
        """The rows of a rate index in the tables of these names of a part of the networks."""
        return [self._layers.table(f"{part}.{name}")[rate_index] for name in names]

    def _hyper_synthesis(self, z: Array, rate_index: int) -> Array:
        """The features, [B, h, w, P], that hyper-latents, [B, h/4, w/4, Z], give the steps of the prior."""
        layers, name = self._layers, "prior.hyper_synthesis"
        x = depth_to_space(layers.narrow(f"{name}.enter", z, 1), 2)
        x += layers.table(f"{name}.rate.rows")[rate_index]
        x = layers.blocks(f"{name}.blocks_32", x, 1)
        x = depth_to_space(layers.narrow(f"{name}.up", x), 2)
        return layers.blocks(f"{name}.blocks_16", x, 1)

    def _predict(self, features: Array, latents: Array, step: int, rate_index: int) -> tuple[Array, Array]:
        """The means and scale indices, [4, B, h/2, w/2, M/4], of the latents that a step codes. latents: 0 where they
        are not known yet."""
        layers, name = self._layers, f"prior.steps.{step}"
        if step:
            x = layers.wide(f"{name}.enter", latents, HALF, INPUT_LIMIT, scale=layers.table("inverse_unit")[rate_index])
            x += features * layers.table(f"{name}.add.ratio")
        else:
            x = layers.copy(features)  # they are needed in later steps, and blocks work in place
        x = layers.blocks(f"{name}.blocks", x, self._config.context_blocks)
        size = self.channels // 4
        groups = [slice(size * group_of(k, step), size * group_of(k, step) + size) for k in range(4)]
        sigmas, log_sigmas = (
            [layers.table(key)[rate_index][group] for group in groups] for key in ("unit", "log_unit")
        )
        return layers.parameters(f"{name}.leave", x, sigmas, log_sigmas)


class RestoringNetworks(IntegerNetworks[Array]):
    """The networks of a weights file whose analysis transform restores (`integer_weights.load_restoration`)."""

    def __init__(self, restoration: Restoration, layers: Layers[Array]) -> None:
        super().__init__(restoration.weights, layers)
        self._transform = restoration.config
        self.halo = restoration.config.halo

    def analyse(self, images: Pixels, rate_index: int) -> Floats:
        """The latents, in standard deviations, of what images were before they were degraded. rate_index: the strength
        of that (`restoration.row_of_strength`)."""
        layers = self._layers
        with layers.exact():
            pixels = layers.array(images)
            features, y = self._correction(pixels, self._transform, rate_index)
            reach, keep = self._rows("latents", ("reach", "keep"), rate_index)
            y += layers.wide("latents.fine", features, OPERAND_STEP, ACTIVATION_LIMIT, gain=reach)
            y += layers.fine("latents.linear", space_to_depth(pixels, PATCH), keep)
            return layers.host(y)


def restoring_on_cpu(restoration: Restoration, level: str | None = None) -> RestoringNetworks[Any]:
    """The networks that restore on the CPU, by a level of the kernels' instructions or by numpy; by default the
    fastest."""
    return RestoringNetworks(restoration, host_layers(restoration.weights, level))


def on_cpu(weights: IntegerWeights, level: str | None = None) -> IntegerNetworks[Any]:
    """The networks on the CPU, by a level of the kernels' instructions or by numpy; by default the fastest."""
    return IntegerNetworks(weights, host_layers(weights, level))


def host_layers(weights: IntegerWeights, level: str | None = None) -> ArrayLayers | NativeLayers:
    """The layers on the CPU, by a level of the kernels' instructions or by numpy; by default the fastest."""
    level = level or fastest()
    return ArrayLayers(weights) if level == NUMPY else NativeLayers(weights, levels()[level])


def fastest() -> str:
    """The name of the best level of instructions that this processor has, or NUMPY if no kernels were compiled."""
    return next(iter(levels()), NUMPY)
