"""Constants of the transform that restores, and how it is told the strength of a degradation: by a row of its rate
tables."""

from __future__ import annotations

import math

from .config import ROWS

EXTRA_BLOCKS = 2
"""Residual blocks at 1/8 that the transform has beyond those of the codec's analysis transform."""

MOST_STRENGTH = 127
"""The strongest degradation, the root of its mean squared error in levels of 8 bits, that has a row of its own."""


def row_of_strength(strength: float) -> int:
    """The row, 0..255, of a degradation whose root mean squared error is `strength` levels, 0 or more: 255 for none,
    and as many rows less for each doubling of strength + 1."""
    return round((ROWS - 1) * max(0.0, 1 - math.log2(1 + strength) / math.log2(1 + MOST_STRENGTH)))
