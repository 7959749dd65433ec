"""Restored pictures: degraded pixels to the latents of clean ones, and those to pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ...bitstream.rectangle import Rectangle
from ..backends.interface import Networks
from ..decode.synthesis_windows import whole_image
from ..encode.analysis_windows import analyse
from ..image.fill import fill
from ..image.picture import to_grey, to_rgb
from ..machine.memory import memory_errors
from ..model.arrays import Latents, Pixels
from ..model.config import HYPER_PATCH, LATENT_FRACTION, PATCH, ROWS
from ..model.restoration import row_of_strength
from ..tile.coder import TileCoder

BEST = ROWS - 1
"""The rate index that restored latents are shown at, without rounding them to its quantisation steps."""

BAND = 16
"""Latent rows that are analysed at a time."""

HOLES_STRENGTH = 25.0
"""The strength, in levels, that is told of a picture where missing pixels were filled."""


class Restorer:
    """Restores pictures by the networks of `load_restoration`'s weights."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._coder = TileCoder(networks)

    def restore(self, pixels: Pixels, strength: float, missing: npt.NDArray[np.bool_] | None = None) -> Pixels:
        """The restored pixels of a picture, uint8 [H, W, 3] or [H, W], of the same shape.

        strength: of the degradation, its root mean squared error in levels; with 0 pixels stay as they are. missing:
        bool [H, W], pixels to be made anew. Raises MemoryLimitError.
        """
        with memory_errors():
            if missing is None:
                return self._restored(pixels, strength) if strength else pixels
            filled = fill(to_rgb(pixels), missing)
            filled = filled if pixels.ndim == 3 else to_grey(filled)
            made = self._restored(filled, max(strength, HOLES_STRENGTH))
            kept = made if strength else pixels
            if 0 < strength < HOLES_STRENGTH:
                kept = self._restored(filled, strength)
            return np.where(missing if pixels.ndim == 2 else missing[..., None], made, kept)

    def _restored(self, pixels: Pixels, strength: float) -> Pixels:
        height, width = pixels.shape[:2]
        bands = self._latents(pixels, row_of_strength(strength))
        return whole_image(self._coder, bands, BEST, height, width, grey=pixels.ndim == 2)

    def _latents(self, pixels: Pixels, row: int) -> Iterator[Latents]:
        """The latents of the padded picture, in sixteenths of a quantisation step, in bands from the top."""
        height, width = (-(-side // HYPER_PATCH) * HYPER_PATCH // PATCH for side in pixels.shape[:2])
        units = self._networks.sigma_in_steps[BEST] * np.float32(LATENT_FRACTION)
        for top in range(0, height, BAND):
            area = Rectangle(top, 0, min(BAND, height - top), width)
            (y,) = analyse(self._networks, [pixels], row, area)
            yield np.rint(y * units).astype(np.int32)
