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
from .quantize import Quantizer

Symbols = npt.NDArray[np.int32]
Rows = npt.NDArray[np.uint8]

Scalar = TypeVar("Scalar", bound=np.generic)

Step = tuple[Symbols, Rows]
"""(symbols, table rows), both [n]: what the entropy coder takes at a time."""

Watch = Callable[[Symbols, Rows], None]
"""Called with the symbols and table rows of hyper-latents [B, h/4, w/4, Z], then of each step [4, B, h/2, w/2, M/4]."""


def _ignore(symbols: Symbols, rows: Rows) -> None:
    """Watches nothing."""


class TileCoder:
    """Networks with the entropy coder's tables."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        self.halo, self.channels = networks.halo, networks.channels
        self.tables = networks.probabilities
        self._quantizer = Quantizer(self.tables, networks.kernels)

    def quantise(self, y: Floats, row: int, z: Symbols | None = None) -> tuple[list[list[Step]], Latents]:
        """Latents, float32 [B, h, w, M] in standard deviations -> for each tile the steps to be coded, hyper-latents
        first, without symbols that are 0 by their rows; and what will be decoded: int32 [B, h, w, M] in sixteenths of
        a step.

        z: hyper-latents, int32 [B, h/4, w/4, Z], if not those of these latents.
        """
        networks = self.networks
        z = networks.analyse_hyper(y, row) if z is None else z
        steps = [[(own.ravel(), rows.ravel())] for own, rows in zip(z, self._hyper_rows(z.shape, row), strict=True)]

        def resolve(step: int, means: Floats, rows: Rows) -> Symbols:
            symbols = self._quantizer.resolve(step, means, rows, y, networks.unit[row], networks.worth[row])
            coded = self.tables.coded(rows)
            found, coded_rows = symbols.ravel()[coded], rows.ravel()[coded]
            for tile, own in zip(steps, _of_each_tile((found, coded_rows), coded, rows.shape), strict=True):
                tile.append(own)
            return symbols

        return steps, networks.walk(z, row, resolve)

    def encode(self, steps: Sequence[Sequence[Step]], latents: Latents) -> list[Tile]:
        """The records of what `quantise` gives."""
        tiles = zip(steps, latents, strict=True)
        return [Tile(encode_steps(self.tables, own), latents_checksum(y)) for own, y in tiles]

    def latents(self, tile: Tile, height: int, width: int, row: int) -> Latents:
        """Of `synthesis_windows.TileDecoder`."""
        own: Latents = self.decode([tile], height, width, row)[0]
        return own

    def pixels(self, latents: Latents, row: int) -> Pixels:
        """Of `synthesis_windows.TileDecoder`."""
        own: Pixels = self.networks.synthesise(latents[None], row)[0]
        return own

    def decode(self, tiles: Sequence[Tile], height: int, width: int, row: int, watch: Watch = _ignore) -> Latents:
        """Their latents, int32 [B, h, w, M] in sixteenths of a step. Raises CorruptError, DecodeMismatchError.

        watch: is shown the symbols and table rows of the hyper-latents and of each step, as they are decoded.
        """
        decoders = [StepDecoder(self.tables, tile.payload) for tile in tiles]

        def read(rows: Rows, axis: int) -> Symbols:
            """The symbols of all tiles, which are along an axis."""
            parts = zip(decoders, _tiles(rows, axis), strict=True)
            symbols: Symbols = np.stack(
                [decoder.decode(own.ravel()).reshape(own.shape) for decoder, own in parts], axis
            )
            watch(symbols, rows)
            return symbols

        shape = (len(tiles), height // 4, width // 4, self.networks.hyper_rows.shape[1])
        z = read(self._hyper_rows(shape, row), 0)
        latents = self.networks.walk(z, row, lambda step, mean, rows: read(rows, 1))
        for decoder, tile, own in zip(decoders, tiles, latents, strict=True):
            decoder.finish()
            if latents_checksum(own) != tile.latents_checksum:
                raise DecodeMismatchError("the decoded latents are not those that were encoded")
        return latents

    def _hyper_rows(self, shape: tuple[int, ...], row: int) -> Rows:
        rows: Rows = np.broadcast_to(self.networks.hyper_rows[row], shape)
        return rows


def _of_each_tile(step: Step, positions: npt.NDArray[np.intp], shape: tuple[int, ...]) -> list[Step]:
    """What is each tile's of symbols and rows that were at some positions of arrays of a shape [4, B, ...]."""
    if shape[1] == 1:
        return [step]
    symbols, rows = step
    tile_of = np.broadcast_to(np.arange(shape[1])[:, None, None, None], shape).ravel()[positions]
    order = np.argsort(tile_of, kind="stable")
    edges = np.searchsorted(tile_of, np.arange(1, shape[1]), sorter=order)
    return [(symbols[own], rows[own]) for own in np.split(order, edges)]


def _tiles(x: npt.NDArray[Scalar], axis: int) -> npt.NDArray[Scalar]:
    """One after the other."""
    return np.moveaxis(x, axis, 0)
