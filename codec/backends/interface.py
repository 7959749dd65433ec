"""What coding needs of a model, whatever it is calculated with: numpy, the kernels, or torch.

Everything here is exact, so the results are the same. Arrays have B tiles or images of equal size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...bitstream.entropy import Decoder, Step
from ...bitstream.tables import ProbabilityTables
from ..model.arrays import Floats, Latents, Pixels
from .kernels.coding import Costs

Resolve = Callable[[int, Floats, npt.NDArray[np.uint8]], npt.NDArray[np.int32]]
"""(step, means in sixteenths of a quantisation step, scale indices: rows of the scale table) -> symbols, all three
[4, B, h/2, w/2, M/4]: those of the four classes of positions (training/model/prior.py)."""


class Networks(Protocol):
    """Networks and tables, and what is done with what they give.

    rate_index: 0..255, what a file names its quality by.
    """

    halo: int
    """Latent positions beyond an area that its pixels and latents can depend on."""
    channels: int
    """Of latents, M."""
    probabilities: ProbabilityTables
    """Of the entropy coder."""
    sigma_in_steps: Floats
    """[256, M]: a channel's standard deviation in quantisation steps, for each rate index."""
    rd_weight: Floats
    """[256, M]: how many bits a squared step of error is worth."""
    rate_weight: npt.NDArray[np.float64]
    """[256]: how many bits the squared error of a pixel is worth."""
    hyper_scale_indices: npt.NDArray[np.uint8]
    """[256, Z]: the scale indices of hyper-latents, likewise."""

    def analyse(self, images: Pixels, rate_index: int) -> Floats:
        """uint8 [B, H, W, 3], H and W multiples of 16 -> latents in standard deviations, [B, H/16, W/16, M]."""

    def analyse_linear(self, images: Pixels) -> Floats:
        """The same by the linear transform alone, which nothing can lead astray."""

    def analyse_hyper(self, y: Floats, rate_index: int) -> npt.NDArray[np.int32]:
        """Latents in standard deviations, [B, h, w, M] -> hyper-latents, [B, h/4, w/4, Z]."""

    def run_context_steps(self, z: npt.NDArray[np.int32], rate_index: int, resolve: Resolve) -> Latents:
        """Latents from hyper-latents, step by step: [B, h/4, w/4, Z] -> [B, h, w, M].

        The one loop of encoder and decoder: `resolve` gives the symbols of each step, by quantising or by decoding.
        """

    def synthesise(self, latents: Latents, rate_index: int) -> Pixels:
        """[B, h, w, M] -> uint8 [B, 16h, 16w, 3]."""

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
        """Latents rounded by what they cost (tile/quantize.py): the symbols of a step, [4, B, h/2, w/2, M/4], 0 where
        the scale is one that is not coded.

        means, in sixteenths of a quantisation step, and scale_indices: likewise. y: latents in standard deviations,
        [B, h, w, M]. sigma_in_steps: [M], those in quantisation steps. rd_weight: [M], how many bits a squared step of
        error is worth.
        """

    def encode_steps(self, steps: Sequence[Step]) -> bytes:
        """The payload of a tile, as of `bitstream.entropy.encode_steps`."""

    def step_decoder(self, payload: bytes) -> Decoder:
        """What decodes the payload of a tile. Raises CorruptError if the encoder can't have written it."""

    def squared_errors(self, x: Pixels, y: Pixels) -> tuple[float, float]:
        """Of two 8-bit images, uint8 [..., 3], the sums of the squared differences of RGB, and of those of their luma
        times 256^2: whole numbers, the same on every machine."""
