"""The search over rows: how near it comes on curves of any shape."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cae
from cae.codec.encode.rate_control import BYTES_SLOPE, MAX_CODINGS, bracket
from cae.codec.model.config import ROWS

ROW = np.arange(ROWS)

CURVES = {
    "as most photographs": BYTES_SLOPE * ROW,
    "much metadata": np.log(70000 + 40 * np.exp(0.03 * ROW)),
    "all at the top": np.log(1 + 1000 * (ROW / (ROWS - 1)) ** 8),
    "all at the bottom": np.log(1 + 1000 * (ROW / (ROWS - 1)) ** 0.2),
    "a step": np.where(ROW < 200, 1e-6 * ROW, 5 + 1e-6 * ROW),
}


@pytest.mark.parametrize("name", CURVES)
def test_bracket_on_any_curve(name: str) -> None:
    """Of every limit: at most one row is lost, and an end is named only if its last row was tried."""
    curve = CURVES[name]
    codings = []
    for best in range(-1, ROWS):
        limit = curve[0] - 1e-9 if best < 0 else curve[best]
        tried: list[int] = []

        def excess(row: int, limit: float = limit, tried: list[int] = tried) -> float:
            tried.append(row)
            return float(curve[row] - limit)

        low, high = bracket(excess, BYTES_SLOPE)
        assert len(tried) <= MAX_CODINGS
        codings.append(len(tried))
        if low is None:
            assert best == -1
            assert 0 in tried
        else:
            assert best - 1 <= low <= best
        if high is None:
            assert best == ROWS - 1
            assert ROWS - 1 in tried
        else:
            assert best < high <= best + 2
    if name == "as most photographs":
        assert math.fsum(codings) / len(codings) < 5


@pytest.mark.parametrize("lossless", [0, 1, 100, 128, 200, ROWS])
@pytest.mark.parametrize("threshold", [0, 90, 150, 255])
def test_bracket_where_the_psnr_becomes_infinite(lossless: int, threshold: int) -> None:
    def excess(row: int) -> float:
        return math.inf if row >= lossless else 0.08 * (row - threshold)

    low, high = bracket(excess, 0.08)
    first = next((row for row in range(ROWS) if excess(row) > 0), None)
    assert high == first or (first is not None and high is not None and high - first <= 1)
    assert low is None or excess(low) <= 0


def test_a_picture_that_decodes_without_loss() -> None:
    assert cae.decode(cae.encode(np.full((1, 1), 5, np.uint8), target_psnr=40)).size == (1, 1)
