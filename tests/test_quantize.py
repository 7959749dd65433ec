"""Rate-distortion optimised rounding against an exhaustive choice."""

from __future__ import annotations

import numpy as np
import torch

from cae.bitstream.tables import TOTAL, ProbabilityTables, quantise_counts
from cae.codec.quantize import MAX_SYMBOL, Quantizer

WIDTH = 6
SHAPES = [np.exp(-np.abs(np.arange(-WIDTH, WIDTH + 1)) / scale) for scale in (0.2, 0.7, 3.0)]
TABLES = ProbabilityTables(
    np.array([0, WIDTH, WIDTH, WIDTH]), np.concatenate([quantise_counts(np.append(s, 1e-3)) for s in SHAPES])
)


def test_takes_the_cheaper_of_two() -> None:
    generator = torch.Generator().manual_seed(1)
    residual = (torch.rand(5000, generator=generator) - 0.5) * 2 * (WIDTH - 0.5)
    rows = torch.randint(1, 4, (5000,), generator=generator, dtype=torch.uint8)
    weight = torch.tensor(8.0)
    symbols = Quantizer(TABLES, torch.device("cpu")).quantise(residual, rows, weight)

    magnitude, nearest = residual.abs().numpy(), residual.abs().round().numpy()
    costs = []
    for choice in (nearest, np.maximum(nearest - 1, 0)):
        counts = np.array([TABLES.row(int(r))[WIDTH + int(k)] for r, k in zip(rows, choice, strict=True)])
        costs.append(8.0 * (magnitude - choice) ** 2 - np.log2(counts / TOTAL))
    expected = np.where(costs[0] < costs[1], nearest, np.maximum(nearest - 1, 0)) * np.sign(residual.numpy())
    # Ties and their neighbourhood are decided by rounding errors.
    clear = np.abs(costs[0] - costs[1]) > 1e-3
    assert np.array_equal(symbols.numpy()[clear], expected[clear])
    assert 0 < (symbols.abs().numpy() < nearest).sum() < 5000


def test_extremes() -> None:
    quantizer = Quantizer(TABLES, torch.device("cpu"))
    residual = torch.tensor([1e9, -1e9, 40.4, -0.0, 3.0])
    rows = torch.tensor([1, 2, 3, 3, 0], dtype=torch.uint8)
    symbols = quantizer.quantise(residual, rows, torch.tensor(8.0))
    assert symbols.tolist() == [MAX_SYMBOL, -MAX_SYMBOL, 40, 0, 0]
