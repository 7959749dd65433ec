"""`interface.Networks` by torch, on any of its devices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...model.arrays import Floats, Latents, Pixels
from ..interface import Resolve
from ..kernels.instructions import levels
from .frozen import FrozenModel


class TensorNetworks:
    """Of a frozen model, which is on its device already. On a CPU arrays and tensors share their memory."""

    def __init__(self, model: FrozenModel) -> None:
        """Raises WeightsError where the model's tables of probabilities are none."""
        self.model = model
        self.halo, self.channels = model.config.halo, model.config.latent_channels
        self.kernels = next(iter(levels().values()), None)
        self.probabilities = model.probability_tables()
        tables = (model.unit, model.worth, model.rate_weight, model.hyper_rows)
        self.sigma_in_steps, self.rd_weight, self.rate_weight, self.hyper_scale_indices = map(_array, tables)

    def analyse(self, images: Pixels, rate_index: int) -> Floats:
        """Latents in standard deviations."""
        return _array(self.model.analyse(self._tensor(images), rate_index))

    def analyse_linear(self, images: Pixels) -> Floats:
        """Latents by the linear transform alone."""
        return _array(self.model.latents.linear_latents(self._tensor(images)))

    def analyse_hyper(self, y: Floats, rate_index: int) -> npt.NDArray[np.int32]:
        """Hyper-latents."""
        return _array(self.model.analyse_hyper(self._tensor(y), rate_index))

    def run_context_steps(self, z: npt.NDArray[np.int32], rate_index: int, resolve: Resolve) -> Latents:
        """Latents from hyper-latents."""

        def on_arrays(step: int, mean: Tensor, rows: Tensor) -> Tensor:
            return self._tensor(resolve(step, _array(mean), _array(rows)))

        return _array(self.model.walk(self._tensor(z), rate_index, on_arrays))

    def synthesise(self, latents: Latents, rate_index: int) -> Pixels:
        """Pixels."""
        return _array(self.model.synthesise(self._tensor(latents), rate_index))

    def _tensor(self, array: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self.model.unit.device)


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    return tensor.cpu().numpy()
