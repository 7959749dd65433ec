"""What the networks' symbols take, by place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...bitstream.container import Tile
from ..model.arrays import ScaleIndices, Symbols
from ..model.constants import CLASSES
from .coder import Skipped, TileCoder

FRACTION = 256
"""Bits are rounded to 1/256, symbol by symbol: libraries differ in the last bit of a logarithm."""


def tile_bits(
    coder: TileCoder, tile: Tile, height: int, width: int, rate_index: int, skipped: Skipped
) -> tuple[list[int], npt.NDArray[np.int64]]:
    """Ideal code lengths: of hyper-latents and of each of the four steps, in 1/256 bit; of each latent position, with
    its sixteenth of the hyper-latents, in 1/4096 bit, int64 [height, width]. Raises as `TileCoder.decode`."""
    costs: list[npt.NDArray[np.int64]] = []

    def watch(symbols: Symbols, scale_indices: ScaleIndices) -> None:
        bits = coder.tables.costs(symbols.reshape(-1), scale_indices.reshape(-1)).reshape(symbols.shape)
        costs.append(np.rint(FRACTION * bits).astype(np.int64).sum(-1))

    positions = np.zeros((height, width), np.int64)
    coder.decode([tile], height, width, rate_index, watch, skipped)
    if costs:
        positions += costs[0][0].repeat(4, axis=0).repeat(4, axis=1)
        for cost in costs[1:]:
            for k, (row, column) in enumerate(CLASSES):
                positions[row::2, column::2] += 16 * cost[k, 0]
    return [int(cost.sum()) for cost in costs], positions
