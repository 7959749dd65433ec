"""Latents improved for each picture, by iterations that effort pays for: their decoded pixels and their bits decide.

The analysis transform and rounding decide on each latent by itself. Here the decoder's answer counts: its pixels are
analysed as the picture was, and what their latents lack is added (Van Cittert's iteration of 1931, with momentum). In
turn, latents are corrected so and quantised again by rate and distortion, which is the step that knows what they cost.
Files stay what they are: any decoder reads them, at the same speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...bitstream.container import Tile, latents_checksum
from ...bitstream.header import Header, all_latents
from ...bitstream.rectangle import Rectangle
from ..model.arrays import Floats, Latents, Pixels
from ..model.config import LATENT_FRACTION, PATCH
from ..model.rate import rate_of
from ..options import ROUNDS
from ..tile.coder import TileCoder
from .analysis_windows import analyse, cut
from .block_bound import PUTTING_RIGHT, ROUNDS_OF_EACH, excess, put_right, suspected
from .cost import error_bits
from .patches import Patched, cells_of

FIRST_STEP, LARGEST_STEP = 0.6, 1.3
MOMENTUM = 0.3
"""Step sizes of the iteration: the correction is taken 0.6 times at the lowest rate, where quantisation steps are so
large that most of it is lost again, and more at higher ones, up to 1.3 times; 0.3 of the step before is added."""


class Coded(NamedTuple):
    """A tile of an image, coded in one way, and what a decoder shows of it."""

    cost: float
    """Bits of the payload and what its error is worth in bits, added up."""
    tile: Tile
    y: Floats
    """float32 [h, w, M]: what was quantised."""
    z: npt.NDArray[np.int32]
    """int32 [h/4, w/4, Z]: hyper-latents."""
    decoded: Latents
    """int32 [h, w, M]: latents of the decoder, in sixteenths of a quantisation step."""
    shown: Pixels
    """uint8 [16h, 16w, 3]: pixels of the decoder; beyond the image's edges what pads it."""


class Checked(NamedTuple):
    """A tile, and whether all its blocks are within their bounds, as far as was looked."""

    tile: Tile
    is_bounded: bool


class TileTrials:
    """Codes one tile of several images in different ways, each time with the pixels that a decoder would show.

    The pixels of a tile depend on latents as far as the halo around it. Those stay what the analysis of tile and halo
    gives, nearly what it gives of the whole image: sizes change by 0.2 % at most, either way. What the tile's own
    latents do to pixels around it is left out.
    """

    def __init__(
        self,
        coder: TileCoder,
        images: Sequence[Pixels],
        header: Header,
        area: Rectangle,
        patched: Patched | None = None,
    ) -> None:
        """patched: of the images, whose pixels they are then."""
        self.coder, self.rate_index = coder, header.rate_index
        whole = all_latents(header)
        outer = area.grown(coder.networks.halo, whole)
        self._exact = _blocks(patched, outer, whole)
        self._skipped = None if patched is None else patched.skipped[*cells_of(area)]
        self._around = cut(images, outer)
        self._place = area.within(outer)
        self._blocks = area.scaled(PATCH).within(outer.scaled(PATCH))
        image = Rectangle(0, 0, header.height, header.width)
        self._pixels = area.scaled(PATCH).clipped(image).within(outer.scaled(PATCH))
        known = coder.networks.analyse(self._around, self.rate_index)
        self.sixteenth = 1 / (LATENT_FRACTION * coder.networks.sigma_in_steps[self.rate_index])
        """float32 [M]: a sixteenth of a quantisation step, in standard deviations."""
        self._latents = (known / self.sixteenth).astype(np.int32)
        if patched is not None:
            skipped = patched.skipped.repeat(4, axis=0).repeat(4, axis=1)[*outer.within(whole)]
            self._latents[:, skipped] = 0
        self._shown = self._around.copy()
        self.wanted = known[:, *self._place]
        """float32 [B, h, w, M]: the tile's latents by the analysis transform, in standard deviations."""
        self.original = self._around[:, *self._blocks]
        """uint8 [B, 16h, 16w, 3]: the tile's pixels."""

    def code(self, y: Floats, z: npt.NDArray[np.int32], images: slice = slice(None), weight: float = 1) -> list[Coded]:
        """Codes the tile of some of the images, by default of all, from latents y, float32 [B, h, w, M], and
        hyper-latents z, int32 [B, h/4, w/4, Z]. weight: how many times as much as usual at this rate errors count
        against bits."""
        networks, rate_index = self.coder.networks, self.rate_index
        steps, decoded = self.coder.quantise(y, rate_index, z, weight, self._skipped)
        tiles = self.coder.encode(steps, decoded)
        self._latents[images, *self._place] = decoded
        shown = networks.synthesise(self._latents[images], rate_index)
        self._shown[images, *self._pixels] = shown[:, *self._pixels]
        if self._exact is not None:
            # What is under patches nobody sees, so there is nothing to be put right.
            np.copyto(self._shown, self._around, where=self._exact)
        parts = zip(
            tiles, y, z, decoded, self._shown[images], self._around[images], self._shown[images, *self._blocks],
            strict=True,
        )  # fmt: skip
        return [
            Coded(self._cost(tile, after, before), tile, y_, z_, d, own.copy())
            for tile, y_, z_, d, after, before, own in parts
        ]

    def _cost(self, tile: Tile, shown: Pixels, original: Pixels) -> float:
        """In bits. Pixels: with those around."""
        own = self._pixels
        return 8 * len(tile.payload) + error_bits(self.coder.networks, self.rate_index, shown[own], original[own])

    def analysed(self) -> Floats:
        """The latents of the pixels that were decoded last, float32 [B, h, w, M] in standard deviations."""
        return self.coder.networks.analyse(self._shown, self.rate_index)[:, *self._place]


def encode(
    coder: TileCoder,
    images: Sequence[Pixels],
    header: Header,
    area: Rectangle,
    effort: int,
    patched: Patched | None = None,
) -> list[Checked]:
    """One coded tile of each image, uint8 [H, W, 3] or [H, W], all with one header, at an effort from 1 to 9: the best
    of its iterations by bits + lambda * squared error, with blocks coded again whose error is beyond their bound
    (block_bound.py). area: that of the tile, in latent positions. patched: the patches of the images, whose pixels are
    then filled where those are; patches have no error."""
    rounds = ROUNDS[effort - 1]
    skipped = None if patched is None else patched.skipped[*cells_of(area)]
    if skipped is not None and skipped.all():
        nothing = np.zeros((area.height, area.width, coder.channels), np.int32)
        return [Checked(Tile(b"", latents_checksum(nothing)), True)] * len(images)
    if rounds:
        return _looked_at(coder, images, header, area, rounds, patched)
    y = analyse(coder.networks, images, header.rate_index, area)
    steps, decoded = coder.quantise(y, header.rate_index, skipped=skipped)
    tiles = [Checked(tile, True) for tile in coder.encode(steps, decoded)]
    wrong = suspected(coder.networks, header.rate_index, cut(images, area), y, decoded)
    if patched is not None:
        wrong &= ~patched.blocks[*area.within(all_latents(header))]
    # Images are coded again one by one, so that each becomes the same file whatever is coded together with it.
    for index in map(int, np.flatnonzero(wrong.any(axis=(1, 2)))):
        (tiles[index],) = _looked_at(coder, [images[index]], header, area, rounds, patched)
    return tiles


def _blocks(patched: Patched | None, area: Rectangle, whole: Rectangle) -> npt.NDArray[np.bool_] | None:
    """Which pixels of an area of latents are in patches: bool [H, W, 1]."""
    if patched is None:
        return None
    return patched.blocks[*area.within(whole)].repeat(PATCH, axis=0).repeat(PATCH, axis=1)[..., None]


def _looked_at(
    coder: TileCoder,
    images: Sequence[Pixels],
    header: Header,
    area: Rectangle,
    rounds: int,
    patched: Patched | None,
) -> list[Checked]:
    """The tile of each image after so many iterations, every block held against its bound by its decoded pixels."""
    trials = TileTrials(coder, images, header, area, patched)
    best = _refined(trials, rounds)
    return [_within_bound(trials, index, coded) for index, coded in enumerate(best)]


def _refined(trials: TileTrials, rounds: int) -> list[Coded]:
    """The best of all iterations for each image."""
    wanted, sixteenth, rate_index = trials.wanted, trials.sixteenth, trials.rate_index
    z = trials.coder.networks.analyse_hyper(wanted, rate_index)
    y, velocity = wanted, np.zeros_like(wanted)
    momentum, size = np.float32(MOMENTUM), np.float32(min(FIRST_STEP + rate_of(rate_index), LARGEST_STEP))
    best: list[Coded] = []
    for number in range(rounds + 1):
        found = trials.code(y, z)
        best = [min(pair, key=attrgetter("cost")) for pair in zip(best, found, strict=True)] if best else found
        if number < rounds:
            # The latents as decoded, plus what those of their pixels lack of the wanted ones, minus what was quantised.
            correction = np.stack([coded.decoded for coded in found]).astype(np.float32)
            correction *= sixteenth
            correction += wanted - trials.analysed()
            correction -= y
            velocity *= momentum
            velocity += size * correction
            y = y + velocity
    return best


def _within_bound(trials: TileTrials, index: int, coded: Coded) -> Checked:
    """The tile of one image with its broken blocks coded better: the first trial that leaves none broken, or else the
    one whose worst block is least beyond its bound."""
    networks, rate_index, image = trials.coder.networks, trials.rate_index, slice(index, index + 1)
    original = trials.original[image]
    over = excess(networks, rate_index, original, coded.shown[None])
    best, least = coded, over.max()
    for strength, weight in PUTTING_RIGHT if least > 1 else ():
        wrong = over > 1
        for _ in range(ROUNDS_OF_EACH):
            trial = put_right(trials.coder, rate_index, original, coded.y[None], coded.z[None], wrong, strength)
            (other,) = trials.code(*trial, image, weight)
            left = excess(networks, rate_index, original, other.shown[None])
            if left.max() < least:
                best, least = other, left.max()
            if least <= 1:
                return Checked(best.tile, True)
            if not ((left > 1) & ~wrong).any():
                break
            wrong = wrong | (left > 1)
    return Checked(best.tile, bool(least <= 1))
