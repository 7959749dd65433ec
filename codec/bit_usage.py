"""Where the bits of a file went: by part of the model, and by place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..bitstream.container import Container, patches_of, skipped_cells
from ..bitstream.header import LATENT_SIDE, latent_size, tile_rectangles
from .codec import FileCoder
from .model.constants import STEPS
from .tile.bits import FRACTION, tile_bits

STOPS = (0.0, 0.4, 0.75, 1.0)
COLOURS = ((0, 0, 20), (130, 20, 110), (245, 125, 20), (255, 255, 180))
"""RGB colours of the map of bits at the shares STOPS of its largest value; those between are interpolated."""


class BitUsage(NamedTuple):
    """Bits that a file's symbols take by the probability tables that code them; the payloads are a few bytes longer.

    hyper: of the hyper-latents; steps: of the latents, for each of the four context steps.
    positions: float64 [h, w], of each block of 16x16 pixels, its share of the hyper-latents included.
    """

    hyper: float
    steps: tuple[float, ...]
    positions: npt.NDArray[np.float64]


def bit_usage(codec: FileCoder, container: Container) -> BitUsage:
    """Decodes a file's latents and adds up the ideal code length of each symbol. Raises BitstreamError for a damaged
    file, WrongWeightsError for one of other weights than the codec's."""
    header = container.header
    codec.check_weights(header)
    totals = np.zeros(1 + STEPS)
    positions = np.zeros(latent_size(header))
    patches = patches_of(header, container.chunks)
    for tile, rectangle in zip(container.tiles, tile_rectangles(header), strict=True):
        top, left, height, width = rectangle
        skipped = skipped_cells(patches, rectangle)
        parts, own = tile_bits(codec.coder, tile, height, width, header.rate_index, skipped)
        if parts:
            totals += np.array(parts) / FRACTION
        positions[top : top + height, left : left + width] = own / (16 * FRACTION)
    return BitUsage(float(totals[0]), tuple(float(total) for total in totals[1:]), positions)


def bits_map(usage: BitUsage, width: int, height: int) -> tuple[Image.Image, float]:
    """A map of where the bits went, an RGB image of width x height pixels that is dark where there are few, and the
    bits per pixel that its brightest colour stands for: 99.5 % of the blocks have less.
    """
    per_pixel = usage.positions / LATENT_SIDE**2
    most = max(float(np.quantile(per_pixel, 0.995)), 1e-6)
    shares = np.minimum(per_pixel / most, 1)
    channels = [np.interp(shares, STOPS, [colour[c] for colour in COLOURS]) for c in range(3)]
    small = Image.fromarray(np.stack(channels, axis=-1).round().astype(np.uint8))
    large = small.resize((LATENT_SIDE * small.width, LATENT_SIDE * small.height), Image.Resampling.NEAREST)
    return large.crop((0, 0, width, height)), most
