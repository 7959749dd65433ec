"""The rate of an image by the model's own probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...bitstream.header import Header, tile_rectangles
from ..codec import FileCoder
from ..encode.analysis_windows import analyse


def estimated_bits(codec: FileCoder, pixels: npt.NDArray[np.uint8], rate_index: int) -> float:
    """The ideal length of an image's payloads, in bits, by the entropy coder's tables, at effort 1.

    pixels: uint8 [H, W, 3]; rate_index: 0..255."""
    header = Header(pixels.shape[1], pixels.shape[0], False, rate_index, codec.fingerprint)
    latents = (analyse(codec.coder.networks, [pixels], rate_index, rectangle) for rectangle in tile_rectangles(header))
    tiles = (steps for y in latents for steps in codec.coder.quantise(y, rate_index)[0])
    return sum(codec.coder.tables.cost_in_bits(*step) for steps in tiles for step in steps)
