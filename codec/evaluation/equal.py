"""Codecs at equal quality: what size each takes for a value of a metric, and what it has for a size.

Everything is interpolated on the codec's own curve, as a BD-rate is (`curve.Curve`), and nothing beyond its ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ...bitstream.errors import InputError
from .curve import Curve
from .metrics import METRICS

if TYPE_CHECKING:
    from .summary import Summary

OUTSIDE, NO_CURVE = "outside", "no curve"
"""Why there is no size: the codec was not measured so low or so high, or its points do not rise."""


class Target(NamedTuple):
    """Where codecs are compared: at a value of a metric, or at a rate in bits per pixel, whose name is "bpp"."""

    name: str
    value: float

    def __str__(self) -> str:
        """As it stands over a column."""
        return f"{self.value:g} bpp" if self.name == "bpp" else f"{METRICS[self.name].label} {self.value:g}"


def check_target(target: Target, metrics: Sequence[str]) -> None:
    """Raises InputError for a metric that is not measured, or a value that no picture but an equal one has."""
    name, value = target
    if name == "bpp":
        if value <= 0:
            raise InputError(f"bpp={value:g}: a rate is more than 0 bits per pixel")
        return
    if name not in METRICS:
        raise InputError(f"{name}={value:g}: there is no metric {name}; there are bpp, {', '.join(METRICS)}")
    if name not in metrics:
        raise InputError(f"{name}={value:g}: measured are bpp, {', '.join(metrics)}; --metrics takes others")
    if not math.isfinite(METRICS[name].curve(value)):
        raise InputError(f"{name}={value:g}: {METRICS[name].label} is below 1")


@dataclass(frozen=True)
class Size:
    """What a codec takes at a target. bpp: in bits per pixel, NaN if none says why; percent: the difference from the
    reference at the same target, negative is smaller, NaN where either has no size."""

    bpp: float
    percent: float
    none: str = ""


def sizes(summary: Summary, target: Target) -> dict[str, Size]:
    """Of each codec, on the curves of the means over the images."""
    return _sizes(summary, target, lambda codec: summary.curve(codec, target.name))


def sizes_of_image(summary: Summary, image: str, target: Target) -> dict[str, Size]:
    """Of each codec, on the curves of one image, by its name."""
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
    """What each codec has of each metric at a rate, on the curves of the means: NaN outside and without a curve."""
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
