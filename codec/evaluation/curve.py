"""Rate-distortion curves: interpolation between measured points, and Bjontegaard deltas."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import bjontegaard
import numpy as np
from scipy.interpolate import PchipInterpolator


class Point(NamedTuple):
    """A point of a rate-distortion curve: bits per pixel of whole files, PSNR in dB (or another metric)."""

    bpp: float
    psnr: float


def mean_point(points: Sequence[Point]) -> Point:
    """The mean of points: that of their rates and that of their PSNRs."""
    return Point(*(float(value) for value in np.mean(points, axis=0)))


class Curve:
    """Piecewise cubic (PCHIP) through points, log rate against the metric; nothing outside the measured range."""

    def __init__(self, points: Iterable[Point]) -> None:
        """Points that are not finite are left out. Raises ValueError for fewer than two, or if they do not rise."""
        self.points = sorted(point for point in points if all(map(math.isfinite, point)))
        if len(self.points) < 2:
            raise ValueError("a curve takes two points at least")
        self.rates, self.values = map(np.array, zip(*self.points, strict=True))
        if np.any(np.diff(self.rates) <= 0) or np.any(np.diff(self.values) <= 0):
            raise ValueError("the curve does not rise: more bits must give a better picture at each of its points")

    def value_at(self, bpp: float) -> float:
        """The metric at a rate; NaN outside the measured range."""
        log_rates = np.log(self.rates)
        return float(PchipInterpolator(log_rates, self.values, extrapolate=False)(math.log(bpp)))

    def rate_at(self, value: float) -> float:
        """The rate, in bits per pixel, at a value of the metric; NaN outside the measured range."""
        return float(np.exp(PchipInterpolator(self.values, np.log(self.rates), extrapolate=False)(value)))


class Delta(NamedTuple):
    """Bjontegaard deltas of a curve against a reference.

    rate: mean difference in rate at an equal metric, in percent, negative is better; low, high: the overlap in the
    metric that it is a mean over. gain: mean difference in the metric at an equal rate, over the overlap of the
    rates; NaN if they have none."""

    rate: float
    low: float
    high: float
    gain: float


def delta(reference: Curve, test: Curve) -> Delta:
    """Bjontegaard deltas of a curve against a reference (G. Bjontegaard, VCEG-M33), with the PCHIP interpolation of the
    later JCT-VC common test conditions.

    The integrals are the package bjontegaard's. Raises ValueError where the curves do not overlap."""
    low = max(reference.values[0], test.values[0])
    high = min(reference.values[-1], test.values[-1])
    if low >= high:
        raise ValueError("the curves do not overlap")
    rates_overlap = max(reference.rates[0], test.rates[0]) < min(reference.rates[-1], test.rates[-1])
    points = (reference.rates, reference.values, test.rates, test.values)
    # min_overlap 0: no warning of a small overlap, which is shown beside the result, for the reader to judge.
    options: dict[str, Any] = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
    rate = bjontegaard.bd_rate(*points, **options)
    gain = bjontegaard.bd_psnr(*points, **options) if rates_overlap else math.nan
    return Delta(float(rate), float(low), float(high), float(gain))


def bd_rate(anchor: Iterable[Point], test: Iterable[Point]) -> float:
    """The mean difference in rate of a curve through points against that of an anchor, at an equal metric, in percent;
    negative is better. Raises ValueError as `Curve` and `delta`."""
    return delta(Curve(anchor), Curve(test)).rate
