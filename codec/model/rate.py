"""Conversions between the quality that users give, the rate index that a file holds, and the rate t of the networks."""

from __future__ import annotations

from numbers import Real

from ...bitstream.errors import InputError
from .config import ROWS


def rate_index_of(quality: float) -> int:
    """The rate index, 0..255, of a quality, 0..100: a row of the rate tables, another for every whole quality.

    Raises InputError outside the range, and for what is no number.
    """
    if not isinstance(quality, Real):
        raise InputError(f"quality must be a number between 0 and 100, not {quality!r}")
    if not 0 <= quality <= 100:  # also true for NaN
        raise InputError(f"quality must be between 0 and 100, not {quality:g}")
    return round(quality * (ROWS - 1) / 100)


def rate_of(rate_index: int) -> float:
    """The rate t in [0, 1] of a rate index, 0..255 (see `ModelConfig`)."""
    return rate_index / (ROWS - 1)


def quality_of(rate_index: int) -> float:
    """The quality, 0..100, that stands for a rate index: the inverse of `rate_index_of`."""
    return rate_index * 100 / (ROWS - 1)
