"""`interface.Networks` without torch: in numpy, with layers by numpy or by the compiled kernels.

The results are those of frozen.py, analysis.py and synthesis.py in tensors/ to the bit; what is said there of the
numbers holds here. Arrays are float32 [B, h, w, channels] unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...bitstream.errors import WeightsError
from ...bitstream.tables import ProbabilityTables
from ..model.arrays import Floats, Latents, Pixels
from ..model.config import (
    ACTIVATION_LIMIT,
    OPERAND_STEP,
    OPERAND_ZERO,
    PATCH,
    ModelConfig,
)
from ..model.constants import (
    DEVIATION_LIMIT,
    HALF,
    INPUT_LIMIT,
    RUNAWAY,
    STEPS,
    group_of,
)
from ..model.weights import Content, parse
from .interface import Resolve
from .kernels.instructions import Kernels, levels
from .native_layers import NativeLayers
from .numpy_layers import ArrayLayers, Layers, Tensors, clipped, depth_to_space, space_to_depth

NUMPY = "numpy"
"""As a level of instructions."""

WIDE_LIMIT = HALF * OPERAND_ZERO - 1
"""Of 16 bits."""


class LightNetworks:
    """Of the tensors of a weights file."""

    def __init__(
        self, config: ModelConfig, tensors: Mapping[str, npt.NDArray[Any]], kernels: Kernels | None = None
    ) -> None:
        """kernels: what multiplies, instead of numpy.

        Raises KeyError for a tensor that is missing, WeightsError where the tables of probabilities are none."""
        self.halo, self.channels = config.halo, config.latent_channels
        self.kernels = kernels
        self._config = config
        self._tensors = Tensors(tensors)
        self._layers: Layers = NativeLayers(self._tensors, kernels) if kernels else ArrayLayers(self._tensors)
        self.probabilities = ProbabilityTables(tensors["half_widths"], tensors["counts"])
        self.sigma_in_steps, self.rd_weight = tensors["unit"], tensors["worth"]
        self.rate_weight, self.hyper_scale_indices = tensors["rate_weight"], tensors["hyper_rows"]

    def analyse(self, images: Pixels, rate_index: int) -> Floats:
        """Latents in standard deviations."""
        layers, tensors, config = self._layers, self._tensors, self._config
        names = ("gain_8", "gain_16", "reach")
        gain_8, gain_16, correction_scale = (tensors.row(f"latents.{name}", rate_index) for name in names)
        x = layers.fine("latents.enter", space_to_depth(images, PATCH // 2), gain_8)
        x = space_to_depth(layers.blocks("latents.blocks_8", x, config.blocks_8), 2)
        x = layers.wide("latents.down", x, OPERAND_STEP, ACTIVATION_LIMIT, gain=gain_16)
        x = layers.blocks("latents.blocks_16", x, config.blocks_16)
        linear = self.analyse_linear(images)
        y = layers.wide("latents.leave", x, OPERAND_STEP, ACTIVATION_LIMIT, gain=correction_scale)
        if max(y.max(), -y.min()) > RUNAWAY:
            y[(np.abs(y) > RUNAWAY).any(axis=-1)] = 0
        y += linear
        return y

    def analyse_linear(self, images: Pixels) -> Floats:
        """Latents by the linear transform alone."""
        return self._layers.fine("latents.linear", space_to_depth(images, PATCH))

    def analyse_hyper(self, y: Floats, rate_index: int) -> npt.NDArray[np.int32]:
        """Hyper-latents."""
        layers, name = self._layers, "hyper_latents"
        x = layers.with_logs(f"{name}.logs", y)
        x = layers.wide(f"{name}.enter", x, HALF, WIDE_LIMIT, gain=self._tensors.row(f"{name}.gain", rate_index))
        x = space_to_depth(layers.blocks(f"{name}.blocks_16", x, 1), 2)
        x = layers.wide(f"{name}.down_32", x, OPERAND_STEP, ACTIVATION_LIMIT)
        x = space_to_depth(layers.blocks(f"{name}.blocks_32", x, 1), 2)
        z = np.rint(layers.wide(f"{name}.down_64", x, OPERAND_STEP, ACTIVATION_LIMIT))
        return clipped(z, -ACTIVATION_LIMIT, ACTIVATION_LIMIT).astype(np.int32)

    def run_context_steps(self, z: npt.NDArray[np.int32], rate_index: int, resolve: Resolve) -> Latents:
        """Latents from hyper-latents."""
        features = self._hyper_synthesis(z.astype(np.float32), rate_index)
        latents = np.zeros((*features.shape[:3], self.channels), np.int32)
        for step in range(STEPS):
            self._take_step(features, latents, step, rate_index, resolve)
        return latents

    def synthesise(self, latents: Latents, rate_index: int) -> Pixels:
        """Pixels."""
        layers, tensors, config = self._layers, self._tensors, self._config
        names = ("gain_16", "gain_8", "reach", "levels", "deviations")
        gain_16, gain_8, correction_scale, levels, deviations = (
            tensors.row(f"pixels.{name}", rate_index) for name in names
        )
        patches = layers.linear("pixels.linear", latents, levels)
        x = layers.wide("pixels.enter", latents, HALF, DEVIATION_LIMIT, scale=deviations, gain=gain_16)
        x = layers.blocks("pixels.blocks_16", x, config.blocks_16)
        x = layers.wide("pixels.up", x, OPERAND_STEP, ACTIVATION_LIMIT, gain=np.tile(gain_8, 4))
        x = layers.blocks("pixels.blocks_8", depth_to_space(x, 2), config.blocks_8)
        correction = layers.wide("pixels.leave", x, OPERAND_STEP, ACTIVATION_LIMIT, gain=correction_scale)
        return layers.samples(patches, correction)

    def _hyper_synthesis(self, z: Floats, rate_index: int) -> Floats:
        layers, name = self._layers, "prior.hyper_synthesis"
        x = depth_to_space(layers.narrow(f"{name}.enter", z, 1), 2)
        x += self._tensors.row(f"{name}.rate.rows", rate_index)
        x = layers.blocks(f"{name}.blocks_32", x, 1)
        x = depth_to_space(layers.narrow(f"{name}.up", x), 2)
        return layers.blocks(f"{name}.blocks_16", x, 1)

    def _take_step(self, features: Floats, latents: Latents, step: int, rate_index: int, resolve: Resolve) -> None:
        """Puts what a step codes into the latents, in sixteenths of a step, of which zeros are not known yet."""
        layers, tensors, name = self._layers, self._tensors, f"prior.steps.{step}"
        if step:
            inverse = tensors.row("inverse_unit", rate_index)
            x = layers.wide(f"{name}.enter", latents, HALF, INPUT_LIMIT, scale=inverse)
            x += features * tensors[f"{name}.add.ratio"]
        else:
            x = features.copy()  # blocks work in place
        x = layers.blocks(f"{name}.blocks", x, self._config.context_blocks)
        groups = [group_of(k, step) for k in range(4)]
        sigmas, log_sigmas = (tensors.row(key, rate_index).reshape(4, -1)[groups] for key in ("unit", "log_unit"))
        means, scale_indices = layers.parameters(f"{name}.leave", x, sigmas, log_sigmas)
        layers.place(step, means, resolve(step, means, scale_indices), latents)


def parse_light(data: Content, name: str, level: str | None = None) -> LightNetworks:
    """The networks in the content of a weights file. Raises WeightsError, naming `name`."""
    config, tensors = parse(data, name)
    level = level or fastest()
    try:
        return LightNetworks(config, tensors, None if level == NUMPY else levels()[level])
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{name} does not hold the tensors of this model: {error}") from error


def fastest() -> str:
    """The level of instructions that is taken where none is asked for."""
    return next(iter(levels()), NUMPY)
