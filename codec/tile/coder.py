"""Latents of tiles to their records in files and back: networks, rounding and entropy coder together.

Tiles of equal size go through the networks together, B at a time; as all sums are exact, each becomes what it becomes
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ...bitstream.container import Tile, latents_checksum
from ...bitstream.entropy import StepDecoder, encode_steps
from ...bitstream.errors import DecodeMismatchError
from ..backends.interface import Networks
from ..model.arrays import Floats, Latents, Pixels
from .quantize import rounding_costs

Symbols = npt.NDArray[np.int32]
ScaleIndices = npt.NDArray[np.uint8]

Scalar = TypeVar("Scalar", bound=np.generic)

Step = tuple[Symbols, ScaleIndices]
"""(symbols, scale indices), both [n]: what the entropy coder takes at a time."""

Skipped = npt.NDArray[np.bool_] | None
"""bool [h/4, w/4]: cells of a tile that are not coded, whose latents are 0; None for none."""

Watch = Callable[[Symbols, ScaleIndices], None]
"""Called with the symbols and scale indices of hyper-latents, [B, h/4, w/4, Z], then of each step,
[4, B, h/2, w/2, M/4]."""


def _ignore(symbols: Symbols, scale_indices: ScaleIndices) -> None:
    """Watches nothing."""


class TileCoder:
    """Networks with the entropy coder's tables."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        self.halo, self.channels = networks.halo, networks.channels
        self.tables = networks.probabilities
        self._costs = rounding_costs(self.tables)

    def quantise(
        self, y: Floats, rate_index: int, z: Symbols | None = None, weight: float = 1, skipped: Skipped = None
    ) -> tuple[list[list[Step]], Latents]:
        """Latents, float32 [B, h, w, M] in standard deviations -> for each tile the steps to be coded, hyper-latents
        first, without symbols that are 0 by their scale; and what will be decoded: int32 [B, h, w, M] in sixteenths of
        a step.

        z: hyper-latents, int32 [B, h/4, w/4, Z], if not those of these latents. weight: what errors count, against
        bits; much more than 1 is rounding to the nearest. skipped: of each of the tiles.
        """
        networks = self.networks
        z = networks.analyse_hyper(y, rate_index) if z is None else z
        if skipped is not None:
            z = np.where(skipped[..., None], np.int32(0), z)
        hyper = zip(z, _without(self._hyper_scale_indices(z.shape, rate_index), skipped), strict=True)
        steps = [[(symbols.ravel(), scale_indices.ravel())] for symbols, scale_indices in hyper]
        sigma_in_steps, rd_weight = (
            networks.sigma_in_steps[rate_index],
            networks.rd_weight[rate_index] * np.float32(weight),
        )

        def resolve(step: int, means: Floats, scale_indices: ScaleIndices) -> Symbols:
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
        """The records of what `quantise` gives."""
        tiles = zip(steps, latents, strict=True)
        return [Tile(encode_steps(self.tables, own), latents_checksum(y)) for own, y in tiles]

    def latents(self, tile: Tile, height: int, width: int, rate_index: int, skipped: Skipped = None) -> Latents:
        """Of `synthesis_windows.TileDecoder`."""
        own: Latents = self.decode([tile], height, width, rate_index, skipped=skipped)[0]
        return own

    def pixels(self, latents: Latents, rate_index: int) -> Pixels:
        """Of `synthesis_windows.TileDecoder`."""
        own: Pixels = self.networks.synthesise(latents[None], rate_index)[0]
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
        """Their latents, int32 [B, h, w, M] in sixteenths of a step. Raises CorruptError, DecodeMismatchError.

        watch: is shown the symbols and scale indices of the hyper-latents and of each step, as they are decoded.
        skipped: of each of the tiles.
        """
        decoders = [StepDecoder(self.tables, tile.payload) for tile in tiles]

        def read(scale_indices: ScaleIndices, axis: int) -> Symbols:
            """The symbols of all tiles, which are along an axis."""
            scale_indices = _without(scale_indices, skipped)
            parts = zip(decoders, _tiles(scale_indices, axis), strict=True)
            symbols: Symbols = np.stack(
                [decoder.decode(own.ravel()).reshape(own.shape) for decoder, own in parts], axis
            )
            watch(symbols, scale_indices)
            return symbols

        shape = (len(tiles), height // 4, width // 4, self.networks.hyper_scale_indices.shape[1])
        if skipped is not None and skipped.all():
            latents = np.zeros((len(tiles), height, width, self.channels), np.int32)
        else:
            z = read(self._hyper_scale_indices(shape, rate_index), 0)
            latents = self.networks.run_context_steps(z, rate_index, lambda step, means, own: read(own, 1))
            latents = _cleared(latents, skipped)
        for decoder, tile, own in zip(decoders, tiles, latents, strict=True):
            decoder.finish()
            if latents_checksum(own) != tile.latents_checksum:
                raise DecodeMismatchError("the decoded latents are not those that were encoded")
        return latents

    def _hyper_scale_indices(self, shape: tuple[int, ...], rate_index: int) -> ScaleIndices:
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
    """What is each tile's of symbols and scale indices that were at some positions of arrays of a shape [4, B, ...]."""
    if shape[1] == 1:
        return [step]
    symbols, scale_indices = step
    tile_of = np.broadcast_to(np.arange(shape[1])[:, None, None, None], shape).ravel()[positions]
    order = np.argsort(tile_of, kind="stable")
    edges = np.searchsorted(tile_of, np.arange(1, shape[1]), sorter=order)
    return [(symbols[own], scale_indices[own]) for own in np.split(order, edges)]


def _tiles(x: npt.NDArray[Scalar], axis: int) -> npt.NDArray[Scalar]:
    """One after the other."""
    return np.moveaxis(x, axis, 0)
