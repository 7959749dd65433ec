"""Rate-distortion optimised rounding against an exhaustive choice."""

from __future__ import annotations

import numpy as np

from cae.bitstream.tables import TOTAL, ProbabilityTables, quantise_counts
from cae.codec.backends.numpy_coding import round_by_cost
from cae.codec.tile.quantize import MAX_SYMBOL, rounding_costs

WIDTH = 6
SHAPES = [np.exp(-np.abs(np.arange(-WIDTH, WIDTH + 1)) / scale) for scale in (0.2, 0.7, 3.0)]
TABLES = ProbabilityTables(
    np.array([0, WIDTH, WIDTH, WIDTH]), np.concatenate([quantise_counts(np.append(s, 1e-3)) for s in SHAPES])
)
COSTS = rounding_costs(TABLES)


def test_takes_the_cheaper_of_two() -> None:
    generator = np.random.default_rng(1)
    residual = ((generator.random(5000) - 0.5) * 2 * (WIDTH - 0.5)).astype(np.float32)
    rows = generator.integers(1, 4, 5000, np.uint8)
    symbols = round_by_cost(COSTS, residual, rows, np.full(len(rows), 8, np.float32))

    magnitude, nearest = np.abs(residual), np.rint(np.abs(residual))
    costs = []
    for choice in (nearest, np.maximum(nearest - 1, 0)):
        counts = np.array([TABLES.row(int(r))[WIDTH + int(k)] for r, k in zip(rows, choice, strict=True)])
        costs.append(8.0 * (magnitude - choice) ** 2 - np.log2(counts / TOTAL))
    expected = np.where(costs[0] < costs[1], nearest, np.maximum(nearest - 1, 0)) * np.sign(residual)
    # Ties and their neighbourhood are decided by rounding errors.
    clear = np.abs(costs[0] - costs[1]) > 1e-3
    assert np.array_equal(symbols[clear], expected[clear])
    assert 0 < (np.abs(symbols) < nearest).sum() < 5000


def test_extremes() -> None:
    residual = np.array([1e9, -1e9, 40.4, -0.0], np.float32)
    rows = np.array([1, 2, 3, 3], np.uint8)
    symbols = round_by_cost(COSTS, residual, rows, np.full(len(rows), 8, np.float32))
    assert symbols.tolist() == [MAX_SYMBOL, -MAX_SYMBOL, 40, 0]
