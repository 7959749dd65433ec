"""The quality that users give, and the row of the rate tables that a file holds."""

from __future__ import annotations

from ...bitstream.errors import InputError
from .config import ROWS


def rate_row(quality: float) -> int:
    """Quality 0..100 -> row of the rate tables, 0..255, strictly increasing over whole qualities.

    Raises InputError outside the range.
    """
    if not 0 <= quality <= 100:  # also true for NaN
        raise InputError(f"quality must be between 0 and 100, not {quality:g}")
    return round(quality * (ROWS - 1) / 100)


def row_rate(row: int) -> float:
    """The rate index t in [0, 1] of a row of the rate tables."""
    return row / (ROWS - 1)


def quality_of(row: int) -> float:
    """The quality, 0..100, that stands for a row: the inverse of `rate_row`."""
    return row * 100 / (ROWS - 1)
