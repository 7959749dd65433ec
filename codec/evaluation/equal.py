"""Codecs at equal quality and at equal rate: the bits that each takes for a value of a metric, and its metrics at a
rate.

Everything is interpolated on the codec's own curve, as a BD-rate is (`curve.Curve`), and nothing beyond its ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .curve import Curve
from .metrics import METRICS
from .summary import Summary
from .target import Target

OUTSIDE, NO_CURVE = "outside", "no curve"
"""Reasons why there is no size: the codec was not measured so low or so high, or its points do not rise."""


@dataclass(frozen=True)
class Size:
    """The size of a codec's files at a target. bpp: bits per pixel, NaN where there is none; percent: the difference
    from the reference at the same target, negative is smaller, NaN where either has no size; none: why there is no
    size, "" if there is one."""

    bpp: float
    percent: float
    none: str = ""


def sizes(summary: Summary, target: Target) -> dict[str, Size]:
    """The size of each codec at a value of a metric, on the curves of the means over the images."""
    return _sizes(summary, target, lambda codec: summary.curve(codec, target.name))


def sizes_of_image(summary: Summary, image: str, target: Target) -> dict[str, Size]:
    """The size of each codec at a value of a metric, on the curves of one image, by its name."""
    return _sizes(summary, target, lambda codec: summary.curve_of_image(codec, target.name, image))


def _sizes(summary: Summary, target: Target, curve: Callable[[str], Curve]) -> dict[str, Size]:
    found = {}
    for codec in summary.codecs:
        try:
            bpp = curve(codec).rate_at(METRICS[target.name].curve(target.value))
        except ValueError:
            found[codec] = math.nan, NO_CURVE
        else:
            found[codec] = bpp, OUTSIDE if math.isnan(bpp) else ""
    # Images made on the spot give no differences, as they give no BD-rates.
    reference = found[summary.reference][0] if summary.conclusive else math.nan
    return {codec: Size(bpp, 100 * (bpp / reference - 1), none) for codec, (bpp, none) in found.items()}


def values_at(summary: Summary, bpp: float) -> dict[str, dict[str, float]]:
    """The value of each metric, for each codec, at a rate in bits per pixel, on the curves of the means: NaN outside
    what was measured and without a curve."""
    found: dict[str, dict[str, float]] = {}
    for codec in summary.codecs:
        found[codec] = {}
        for name in summary.metrics:
            try:
                value = METRICS[name].from_curve(summary.curve(codec, name).value_at(bpp))
            except ValueError:
                value = math.nan
            found[codec][name] = value
    return found
