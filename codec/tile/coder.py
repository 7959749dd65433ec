"""Coding of latents to the records of tiles in a file, and back, with prior, rounding and entropy coder.

B tiles of equal size go through the networks together. As all sums are exact, each gets the bytes and latents that it
gets alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ...bitstream.container import Tile, latents_checksum
from ...bitstream.entropy import Decoder, Step
from ...bitstream.errors import DecodeMismatchError
from ..backends.interface import Networks
from ..model.arrays import Floats, Latents, Pixels, ScaleIndices, Symbols
from .quantize import rounding_costs

Skipped = npt.NDArray[np.bool_] | None
"""bool [h/4, w/4]: cells of a tile that are not coded, whose latents are 0; None for none."""

Watch = Callable[[Symbols, ScaleIndices], None]
"""A function called with the symbols and scale indices of the hyper-latents, [B, h/4, w/4, Z], then with those of each
step, [4, B, h/2, w/2, M/4]."""


def _ignore(symbols: Symbols, scale_indices: ScaleIndices) -> None:
    """A `Watch` that does nothing."""


class TileCoder:
    """Encoder and decoder of tiles by some networks and their probability tables; a `TileDecoder`, too."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        self.halo, self.channels = networks.halo, networks.channels
        self.tables = networks.probabilities
        self._costs = rounding_costs(self.tables)

    def quantise(
        self, y: Floats, rate_index: int, z: Symbols | None = None, weight: float = 1, skipped: Skipped = None
    ) -> tuple[list[list[Step]], Latents]:
        """Quantises latents, float32 [B, h, w, M] in standard deviations. Returns the steps of each tile, hyper-latents
        first, without the symbols that are not coded because of their scale; and the latents that will be decoded,
        int32 [B, h, w, M] in sixteenths of a quantisation step.

        z: hyper-latents, int32 [B, h/4, w/4, Z], if others than those of these latents are to be coded. weight: a
        factor of what errors cost against bits; much more than 1 means rounding to the nearest. skipped:
        the cells of each tile that are not coded.
        """
        networks = self.networks
        z = networks.analyse_hyper(y, rate_index) if z is None else z
        if skipped is not None:
            z = np.where(skipped[..., None], np.int32(0), z)
        hyper = zip(z, _without(self._hyper_scale_indices(z.shape, rate_index), skipped), strict=True)
        steps = [[(symbols.ravel(), scale_indices.ravel())] for symbols, scale_indices in hyper]
        sigma_in_steps = networks.sigma_in_steps[rate_index]
        rd_weight = networks.rd_weight[rate_index] * np.float32(weight)

        def resolve(step: int, means: Floats, scale_indices: ScaleIndices) -> Symbols:
            """The symbols of a step by rounding; those that are coded are added to `steps`."""
            scale_indices = _without(scale_indices, skipped)
            symbols = networks.round_latents(self._costs, step, means, scale_indices, y, sigma_in_steps, rd_weight)
            coded = self.tables.coded(scale_indices)
            found, coded_scales = symbols.ravel()[coded], scale_indices.ravel()[coded]
            for tile, own in zip(steps, _of_each_tile((found, coded_scales), coded, scale_indices.shape), strict=True):
                tile.append(own)
            return symbols

        latents = networks.run_context_steps(z, rate_index, resolve)
        return steps, _cleared(latents, skipped)

    def encode(self, steps: Sequence[Sequence[Step]], latents: Latents) -> list[Tile]:
        """The records of tiles, from the steps and latents that `quantise` returns."""
        tiles = zip(steps, latents, strict=True)
        return [Tile(self.networks.encode_steps(self.tables, own), latents_checksum(y)) for own, y in tiles]

    def latents(self, tile: Tile, height: int, width: int, rate_index: int, skipped: Skipped = None) -> Latents:
        """The latents of one tile, int32 [height, width, M] in sixteenths of a step. Raises CorruptError,
        DecodeMismatchError."""
        own: Latents = self.decode([tile], height, width, rate_index, skipped=skipped)[0]
        return own

    def pixels(self, latents: Latents, rate_index: int) -> Pixels:
        """The pixels, uint8 [16h, 16w, 3], of latents [h, w, M]."""
        own: Pixels = self.networks.synthesise(latents[None], rate_index)[0]
        return own

    def preview(self, latents: Latents, rate_index: int) -> Pixels:
        """The pixels of an eighth of the size, uint8 [2h, 2w, 3], of latents [h, w, M]."""
        own: Pixels = self.networks.preview(latents[None], rate_index)[0]
        return own

    def decode(
        self,
        tiles: Sequence[Tile],
        height: int,
        width: int,
        rate_index: int,
        watch: Watch = _ignore,
        skipped: Skipped = None,
    ) -> Latents:
        """The latents, int32 [B, height, width, M] in sixteenths of a step, of B tiles of that many latent positions.

        watch: called with the symbols and scale indices as they are decoded. skipped: cells that are not coded. Raises
        CorruptError for a payload that is malformed, DecodeMismatchError if the checksum of the decoded latents is not
        the tile's.
        """
        decoders = [self.networks.step_decoder(self.tables, tile.payload) for tile in tiles]
        latents = self.run(decoders, height, width, rate_index, watch, skipped)
        for decoder, tile, own in zip(decoders, tiles, latents, strict=True):
            decoder.finish()
            if latents_checksum(own) != tile.latents_checksum:
                raise DecodeMismatchError("the decoded latents are not those that were encoded")
        return latents

    def run(
        self,
        decoders: Sequence[Decoder],
        height: int,
        width: int,
        rate_index: int,
        watch: Watch = _ignore,
        skipped: Skipped = None,
    ) -> Latents:
        """The latents of `decode`, whatever they are, from what gives the symbols of each tile, step by step."""

        def read(scale_indices: ScaleIndices, axis: int) -> Symbols:
            """Decodes the symbols of all tiles for these scale indices, whose tiles are along `axis`."""
            scale_indices = _without(scale_indices, skipped)
            parts = zip(decoders, np.moveaxis(scale_indices, axis, 0), strict=True)
            decoded = [decoder.decode(own.ravel()).reshape(own.shape) for decoder, own in parts]
            symbols: Symbols = np.stack(decoded, axis)
            watch(symbols, scale_indices)
            return symbols

        shape = (len(decoders), height // 4, width // 4, self.networks.hyper_scale_indices.shape[1])
        if skipped is not None and skipped.all():
            return np.zeros((len(decoders), height, width, self.channels), np.int32)
        z = read(self._hyper_scale_indices(shape, rate_index), 0)
        latents = self.networks.run_context_steps(z, rate_index, lambda step, means, own: read(own, 1))
        return _cleared(latents, skipped)

    def _hyper_scale_indices(self, shape: tuple[int, ...], rate_index: int) -> ScaleIndices:
        """The scale indices of hyper-latents of a shape [..., Z]."""
        scale_indices: ScaleIndices = np.broadcast_to(self.networks.hyper_scale_indices[rate_index], shape)
        return scale_indices


def _without(scale_indices: ScaleIndices, skipped: Skipped) -> ScaleIndices:
    """Those of hyper-latents or of a step, with a scale that is not coded in cells that are skipped."""
    if skipped is None:
        return scale_indices
    per_cell = scale_indices.shape[-2] // skipped.shape[1]
    own = skipped.repeat(per_cell, axis=0).repeat(per_cell, axis=1)
    return np.where(own[..., None], np.uint8(0), scale_indices)


def _cleared(latents: Latents, skipped: Skipped) -> Latents:
    """The same with zeros in cells that are skipped."""
    if skipped is not None:
        latents[:, skipped.repeat(4, axis=0).repeat(4, axis=1)] = 0
    return latents


def _of_each_tile(step: Step, positions: npt.NDArray[np.intp], shape: tuple[int, ...]) -> list[Step]:
    """Splits the coded symbols and scale indices of B tiles into one step for each tile. positions: their flat indices
    in the arrays of the step, of this shape [4, B, h/2, w/2, M/4]."""
    if shape[1] == 1:
        return [step]
    symbols, scale_indices = step
    tile_of = np.broadcast_to(np.arange(shape[1])[:, None, None, None], shape).ravel()[positions]
    order = np.argsort(tile_of, kind="stable")
    edges = np.searchsorted(tile_of, np.arange(1, shape[1]), sorter=order)
    return [(symbols[own], scale_indices[own]) for own in np.split(order, edges)]
