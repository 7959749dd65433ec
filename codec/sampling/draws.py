"""Symbols drawn from the entropy coder's probability tables: the same on every machine for the same seed.

All is integers: the numbers of SplitMix64, the counts of the tables, and at other temperatures than 1 what `tempered`
makes of those.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal

import numpy as np
import numpy.typing as npt

from ...bitstream.errors import InputError
from ...bitstream.tables import ProbabilityTables
from ..model.arrays import Symbols

SEEDS = 2**64
"""Seeds are whole numbers from 0 to SEEDS - 1."""

_STRIDE, _FIRST, _SECOND = map(np.uint64, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
"""The constants of SplitMix64 (Steele, Lea and Flood, 2014)."""

_WEIGHT = 2**16
"""The weight of a row's most probable symbol at other temperatures than 1. A row has fewer than 2^16 symbols, so that
its weights sum to less than 2^32."""

_ARITHMETIC = Context(prec=28)
"""Decimal numbers, whose logarithms and exponentials are rounded correctly, so that every machine has the same."""


class Draws:
    """Draws symbols by the probability tables, one random number for each that is coded."""

    def __init__(self, tables: ProbabilityTables, seed: int, temperature: float) -> None:
        """seed: 0..2^64 - 1. temperature: from 0, at which the most probable symbol is taken, to any finite number;
        probabilities are raised to its inverse. Raises InputError for others."""
        if not 0 <= seed < SEEDS:
            raise InputError(f"a seed is a whole number from 0 to 2^64 - 1, not {seed}")
        if not 0 <= temperature < math.inf:  # false for NaN, too
            raise InputError(f"a temperature is a number from 0 on, not {temperature:g}")
        self._tables, self._temperature = tables, temperature
        self._state = np.uint64(seed)
        self._sums: dict[int, npt.NDArray[np.uint64]] = {}

    def symbols(self, rows: npt.NDArray[np.uint8]) -> Symbols:
        """The next symbols, int32 [n], by the rows of their tables, uint8 [n]; 0 for rows that are not coded.

        What lies beyond a table, which a file codes by an escape, is never drawn.
        """
        symbols = np.zeros(len(rows), np.int32)
        positions = self._tables.coded(rows)
        numbers = self.numbers(len(positions)) >> np.uint64(32)
        order = np.argsort(rows[positions], kind="stable")
        found, counts = np.unique(rows[positions], return_counts=True)
        for row, end, count in zip(found.tolist(), np.cumsum(counts), counts, strict=True):
            own, sums = order[end - count : end], self._row(row)
            drawn = np.searchsorted(sums, numbers[own] * sums[-1] >> np.uint64(32), side="right")
            symbols[positions[own]] = drawn - int(self._tables.half_widths[row])
        return symbols

    def numbers(self, count: int) -> npt.NDArray[np.uint64]:
        """The next numbers of SplitMix64, uint64 [count]."""
        states = self._state + _STRIDE * np.arange(1, count + 1, dtype=np.uint64)  # modulo 2^64, as all of it
        self._state = states[-1] if count else self._state
        mixed = (states ^ states >> np.uint64(30)) * _FIRST
        mixed = (mixed ^ mixed >> np.uint64(27)) * _SECOND
        drawn: npt.NDArray[np.uint64] = mixed ^ mixed >> np.uint64(31)
        return drawn

    def _row(self, row: int) -> npt.NDArray[np.uint64]:
        """The sums of the weights of a row's symbols -K .. K, each with those before it: uint64 [2K + 1]."""
        if row not in self._sums:
            counts = self._tables.row(row)[:-1]  # without the escape
            self._sums[row] = np.cumsum(tempered(counts, self._temperature), dtype=np.uint64)
        return self._sums[row]


def tempered(counts: npt.NDArray[np.int32], temperature: float) -> npt.NDArray[np.int64]:
    """The weights, int64 [n], of symbols with these counts, int32 [n]: the counts themselves at 1; 1 for the largest,
    the first of them, and 0 for the others at 0; or else (count / largest)^(1 / temperature), rounded to a multiple of
    1 / _WEIGHT, in units of that."""
    if temperature == 1:
        return counts.astype(np.int64)
    if temperature == 0:
        weights = np.zeros(len(counts), np.int64)
        weights[np.argmax(counts)] = 1
        return weights
    most, divisor = _ARITHMETIC.ln(Decimal(int(counts.max()))), Decimal(temperature)
    scaled = {count: _scaled(count, most, divisor) for count in set(counts.tolist())}
    return np.array([scaled[count] for count in counts.tolist()], np.int64)


def _scaled(count: int, most: Decimal, divisor: Decimal) -> int:
    """_WEIGHT times exp((ln(count) - most) / divisor), rounded."""
    exponent = _ARITHMETIC.divide(_ARITHMETIC.subtract(_ARITHMETIC.ln(Decimal(count)), most), divisor)
    weight = _ARITHMETIC.multiply(Decimal(_WEIGHT), _ARITHMETIC.exp(exponent))
    return int(_ARITHMETIC.to_integral_value(weight))
