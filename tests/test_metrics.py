"""PSNR and BD-rate against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cae.codec.evaluation.metrics import Point, bd_rate, jpeg_point, mean_point, psnr


def test_psnr() -> None:
    a = np.full((2, 2, 3), 100, np.uint8)
    assert psnr(a, a) == float("inf")
    assert psnr(a, a + 1) == pytest.approx(20 * np.log10(255))
    assert psnr(a, a - 255 // 3) == pytest.approx(20 * np.log10(3))


def test_bd_rate_of_a_constant_factor() -> None:
    anchor = [Point(0.1 * 2**k, 25 + 3 * k) for k in range(6)]
    assert bd_rate(anchor, anchor) == pytest.approx(0)
    assert bd_rate(anchor, [Point(0.7 * p.bpp, p.psnr) for p in anchor]) == pytest.approx(-30)
    # Only the range that both cover counts.
    assert bd_rate(anchor, [Point(0.7 * p.bpp, p.psnr) for p in anchor[2:5]]) == pytest.approx(-30)


def test_bd_rate_refuses_what_it_cannot_compare() -> None:
    low, high = [Point(1, 20), Point(2, 21)], [Point(1, 30), Point(2, 31)]
    with pytest.raises(ValueError, match="overlap"):
        bd_rate(low, high)
    with pytest.raises(ValueError, match="same PSNR"):
        bd_rate(low, [Point(1, 20), Point(2, 20)])


def test_jpeg_point_counts_the_whole_file() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    good, bad = jpeg_point(noise, 95), jpeg_point(noise, 10)
    assert good.bpp > 6 > bad.bpp > 0.5
    assert good.psnr > bad.psnr
    assert mean_point([good, bad]).bpp == pytest.approx((good.bpp + bad.bpp) / 2)
