"""The interface of the integer networks that encoder and decoder use, whichever back end calculates them.

All results are exact: the same from numpy, the kernels and torch. Arrays hold B tiles or images of equal size; M is the
number of channels of latents, Z that of hyper-latents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...bitstream.entropy import Decoder, Step
from ...bitstream.tables import ProbabilityTables
from ..model.arrays import Floats, Latents, Pixels, ScaleIndices, Symbols
from .kernels.coding import Costs

Resolve = Callable[[int, Floats, ScaleIndices], Symbols]
"""A function from a step 0..3, the means of its latents in sixteenths of a quantisation step, and their scale indices,
rows of the probability tables, to their symbols. All three arrays are [4, B, h/2, w/2, M/4], with the four position
classes (training/model/prior.py) along the first axis."""


class HostArithmetic(Protocol):
    """The work on numpy's arrays and on bytes that a back end does beside the networks."""

    def round_latents(
        self,
        costs: Costs,
        step: int,
        means: Floats,
        scale_indices: ScaleIndices,
        y: Floats,
        sigma_in_steps: Floats,
        rd_weight: Floats,
    ) -> Symbols:
        """The symbols of a step, [4, B, h/2, w/2, M/4], rounded by rate and distortion (tile/quantize.py); 0 where the
        scale index is one that is not coded.

        means, scale_indices: the prediction for the step, of the shape of the symbols, means in sixteenths of a
        quantisation step. y: latents in standard deviations, [B, h, w, M]. sigma_in_steps: a standard deviation in
        quantisation steps, [M]. rd_weight: bits that an error of one squared step is worth, [M].
        """

    def encode_steps(self, tables: ProbabilityTables, steps: Sequence[Step]) -> bytes:
        """The payload of a tile, as `bitstream.entropy.encode_steps` makes it."""

    def step_decoder(self, tables: ProbabilityTables, payload: bytes) -> Decoder:
        """A decoder of the payload of a tile. Raises CorruptError for one that ends in a zero byte."""

    def squared_errors(self, x: Pixels, y: Pixels) -> tuple[float, float]:
        """The sum of squared differences of two images, uint8 [..., 3], over RGB, and the sum over their luma times
        256^2. Both are integers, the same on every machine."""


class Networks(HostArithmetic, Protocol):
    """The networks of a model, and its tables.

    The rate index of a call, 0..255, is the byte by which a file names its quality.
    """

    halo: int
    """Latent positions around an area on which its pixels and latents can depend."""
    channels: int
    """Channels of latents, M."""
    probabilities: ProbabilityTables
    """The entropy coder's tables."""
    sigma_in_steps: Floats
    """The standard deviation of each channel, in quantisation steps, for each rate index: [256, M]."""
    rd_weight: Floats
    """Bits that an error of one squared quantisation step is worth, for each rate index and channel: [256, M]."""
    rate_weight: npt.NDArray[np.float64]
    """Bits that a pixel's squared error, a mean over its colours, is worth, for each rate index: [256]."""
    hyper_scale_indices: npt.NDArray[np.uint8]
    """The scale index of each channel of hyper-latents, for each rate index: [256, Z]."""

    @property
    def colour_channels(self) -> list[int]:
        """The three channels of latents, in rising order, that stand for the mean colour of 16x16 pixels."""

    def analyse(self, images: Pixels, rate_index: int) -> Floats:
        """The latents, in standard deviations, [B, H/16, W/16, M], of images uint8 [B, H, W, 3], H and W multiples of
        16."""

    def analyse_linear(self, images: Pixels) -> Floats:
        """The latents as in `analyse`, but by the linear transform alone, without the correcting network: the encoder's
        resort where the network fails."""

    def analyse_hyper(self, y: Floats, rate_index: int) -> Symbols:
        """The hyper-latents, [B, h/4, w/4, Z], of latents in standard deviations, [B, h, w, M]."""

    def run_context_steps(self, z: Symbols, rate_index: int, resolve: Resolve) -> Latents:
        """The decoded latents, [B, h, w, M], for hyper-latents, [B, h/4, w/4, Z].

        Encoder and decoder share this loop over the four steps. Each predicts means and scale indices from what is
        known so far and asks `resolve` for the symbols, which the encoder rounds and the decoder reads.
        """

    def synthesise(self, latents: Latents, rate_index: int) -> Pixels:
        """The pixels, uint8 [B, 16h, 16w, 3], of decoded latents, [B, h, w, M]."""

    def preview(self, latents: Latents, rate_index: int) -> Pixels:
        """About the means of these pixels over squares of 8x8, uint8 [B, 2h, 2w, 3], in a small part of the time. A
        latent position's depend on its own latents alone."""
