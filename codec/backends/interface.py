"""What coding needs of a model, whatever it is calculated with: torch (tensors/), or numpy and the kernels.

Everything here is exact, so the results are the same. Arrays have B tiles or images of equal size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...bitstream.tables import ProbabilityTables
from ..model.arrays import Floats, Latents, Pixels
from .kernels.instructions import Kernels

Resolve = Callable[[int, Floats, npt.NDArray[np.uint8]], npt.NDArray[np.int32]]
"""(step, means in sixteenths of a quantisation step, table rows) -> symbols, all three [4, B, h/2, w/2, M/4]: those of
the four classes of positions (training/model/prior.py)."""


class Networks(Protocol):
    """Networks and tables. Raises WeightsError, from any method, where sums would not be exact."""

    halo: int
    """Latent positions beyond an area that its pixels and latents can depend on."""
    channels: int
    """Of latents, M."""
    kernels: Kernels | None
    """Compiled ones, for what is done with what the networks give."""
    probabilities: ProbabilityTables
    """Of the entropy coder."""
    unit: Floats
    """[256, M]: a channel's standard deviation in quantisation steps, for each row of the rate tables."""
    worth: Floats
    """[256, M]: how many bits a squared step of error is worth."""
    rate_weight: npt.NDArray[np.float64]
    """[256]: how many bits the squared error of a pixel is worth."""
    hyper_rows: npt.NDArray[np.uint8]
    """[256, Z]: the table rows of hyper-latents."""

    def analyse(self, images: Pixels, row: int) -> Floats:
        """uint8 [B, H, W, 3], H and W multiples of 16 -> latents in standard deviations, [B, H/16, W/16, M]."""

    def analyse_hyper(self, y: Floats, row: int) -> npt.NDArray[np.int32]:
        """Latents in standard deviations, [B, h, w, M] -> hyper-latents, [B, h/4, w/4, Z]."""

    def walk(self, z: npt.NDArray[np.int32], row: int, resolve: Resolve) -> Latents:
        """Latents from hyper-latents, step by step: [B, h/4, w/4, Z] -> [B, h, w, M].

        The one loop of encoder and decoder: `resolve` gives the symbols of each step, by quantising or by decoding.
        """

    def synthesise(self, latents: Latents, row: int) -> Pixels:
        """[B, h, w, M] -> uint8 [B, 16h, 16w, 3]."""
