"""Effort: latents chosen for a picture by what the decoder makes of them and what they cost.

The analysis transform and rounding decide on each latent by itself. Here the decoder's answer counts: its pixels are
analysed as the picture was, and what their latents lack is added (Van Cittert's iteration of 1931, with momentum). In
turn, latents are corrected so and quantised again by rate and distortion, which is the step that knows what they cost.
Files stay what they are: any decoder reads them, at the same speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from ...bitstream.container import Header, Tile, all_latents
from ...bitstream.rectangle import Rectangle
from ..backends.interface import Networks
from ..model.arrays import Pixels
from ..model.config import LATENT_FRACTION, PATCH, ROUNDS
from ..model.rate import rate_of
from ..tile.coder import TileCoder
from .analysis_windows import analyse, cut

LUMA_SHARE = 0.8
"""Of the luma's error in the distortion, beside that of RGB, as in training."""

FIRST_STEP, LARGEST_STEP = 0.6, 1.3
MOMENTUM = 0.3
"""A correction is taken 0.6 times at the lowest rate, where quantisation steps are so large that most of it is lost
again, and more at higher ones, up to 1.3 times; with 0.3 of the one before."""


def encode(coder: TileCoder, images: Sequence[Pixels], header: Header, area: Rectangle, effort: int) -> list[Tile]:
    """The records of a tile of each image, uint8 [H, W, 3] or [H, W], all with one header, at an effort from 1 to 9:
    the best of an image's rounds, by bits + lambda * squared error."""
    networks, rate_index, rounds = coder.networks, header.rate_index, ROUNDS[effort - 1]
    if not rounds:
        return coder.encode(*coder.quantise(analyse(networks, images, rate_index, area), rate_index))
    # The pixels of the tile depend on latents as far as the halo around it; those stay what the analysis gives, nearly:
    # it sees nothing beyond them, which changes sizes by 0.2 % at most, either way. What the tile's own latents do to
    # pixels around it is left out.
    outer = area.grown(networks.halo, all_latents(header))
    original = cut(images, outer)
    place = area.within(outer)
    pixels = area.scaled(PATCH).clipped(Rectangle(0, 0, header.height, header.width)).within(outer.scaled(PATCH))
    known = networks.analyse(original, rate_index)
    wanted = known[:, *place]
    z = networks.analyse_hyper(wanted, rate_index)
    sixteenth = 1 / (LATENT_FRACTION * networks.sigma_in_steps[rate_index])  # of a step, in standard deviations
    latents = (known / sixteenth).astype(np.int32)
    shown = original.copy()
    y, velocity = wanted, np.zeros_like(wanted)
    momentum, size = np.float32(MOMENTUM), np.float32(min(FIRST_STEP + rate_of(rate_index), LARGEST_STEP))
    best: list[tuple[float, Tile]] = []
    for number in range(rounds + 1):
        steps, decoded = coder.quantise(y, rate_index, z)
        tiles = coder.encode(steps, decoded)
        latents[:, *place] = decoded
        shown[:, *pixels] = networks.synthesise(latents, rate_index)[:, *pixels]
        pairs = zip(tiles, shown[:, *pixels], original[:, *pixels], strict=True)
        found = [(_cost(networks, rate_index, tile, *pair), tile) for tile, *pair in pairs]
        best = [min(pair, key=itemgetter(0)) for pair in zip(best, found, strict=True)] if best else found
        if number < rounds:
            # What decoded latents are, and what their pixels lack, against what was decided on.
            correction = decoded.astype(np.float32)
            correction *= sixteenth
            correction += wanted - networks.analyse(shown, rate_index)[:, *place]
            correction -= y
            velocity *= momentum
            velocity += size * correction
            y = y + velocity
    return [tile for _, tile in best]


def _cost(networks: Networks, rate_index: int, tile: Tile, shown: Pixels, original: Pixels) -> float:
    """In bits. Pixels: uint8 [H, W, 3]; their error is `distortion.squared_error`, summed up."""
    squares, luma_squares = networks.squared_errors(shown, original)
    error = (1 - LUMA_SHARE) * (squares / 3) + LUMA_SHARE * (luma_squares / 256**2)
    return 8 * len(tile.payload) + float(networks.rate_weight[rate_index]) * error
