"""Frozen probability tables: integers that are shipped with the weights (FORMAT.md, section 7).

They are never computed from floating point while coding, so that every device reads the same ones.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, WeightsError

TOTAL = 1 << 16  # the counts of a row sum to this
MAX_ROWS = 256  # the index of a row is a byte

# The excess of an escaped symbol over K is coded as its number of bits, one of these classes, and the bits.
EXCESS_CLASSES = 20
MAX_EXCESS = 2**EXCESS_CLASSES - 1


class ProbabilityTables:
    """One probability table for each row.

    Row r has the half-width K: its symbols are -K .. K and then the escape, with 2K + 2 counts, each at least
    1, that sum to TOTAL. A row with K = 0 is a skip row: it has no counts, its symbols are not coded and
    are 0. Row 0 is always one.

    half_widths: int32 [R], K of each row, read-only.
    counts: int32 [sum of 2K + 2 over all rows with K > 0], the rows one after another, read-only.
    are_coded: bool [256], whether a row has symbols that are coded, read-only.
    """

    def __init__(self, half_widths: NDArray[np.integer[Any]], counts: NDArray[np.integer[Any]]) -> None:
        """Takes integer arrays as described above. Raises WeightsError if anything about them is wrong."""
        widths, counts = _integers(half_widths, "half-widths"), _integers(counts, "counts")
        if not 1 <= len(widths) <= MAX_ROWS:
            raise WeightsError(f"{len(widths)} rows, 1 .. {MAX_ROWS} are allowed")
        if widths[0] != 0:
            raise WeightsError("row 0 must be a skip row")
        if widths.min() < 0 or widths.max() > TOTAL // 2 - 1:
            raise WeightsError(f"half-widths must be in 0 .. {TOTAL // 2 - 1}")
        sizes = np.where(widths > 0, 2 * widths + 2, 0)
        if len(counts) != sizes.sum():
            raise WeightsError(f"{len(counts)} counts for half-widths that need {sizes.sum()}")
        if counts.size and not 1 <= counts.min() <= counts.max() <= TOTAL:
            raise WeightsError(f"counts must be in 1 .. {TOTAL}")
        ends = np.cumsum(sizes)
        sums = np.diff(np.concatenate(([0], np.cumsum(counts)))[np.concatenate(([0], ends))])
        if np.any(sums[widths > 0] != TOTAL):
            raise WeightsError(f"the counts of a row do not sum to {TOTAL}")

        self.half_widths = widths.astype(np.int32)
        self.counts = counts.astype(np.int32)
        self.half_widths.flags.writeable = False
        self.counts.flags.writeable = False
        self.are_coded = np.zeros(MAX_ROWS, np.bool_)
        self.are_coded[: len(widths)] = widths > 0
        self.are_coded.flags.writeable = False
        self._starts = ends - sizes
        self._ends = ends
        self._sums: list[list[int]] = [[]] * len(widths)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.half_widths)

    def row(self, row: int) -> NDArray[np.int32]:
        """The counts of one row, int32 [2K + 2]; empty for a skip row."""
        return self.counts[self._starts[row] : self._ends[row]]

    def sums(self, row: int) -> list[int]:
        """The sums of a row's counts, from 0 to TOTAL: 2K + 3 numbers. Empty for a skip row."""
        if self.half_widths[row] and not self._sums[row]:
            self._sums[row] = [0, *np.cumsum(self.row(row)).tolist()]
        return self._sums[row]

    def cost_in_bits(self, symbols: NDArray[np.int32], rows: NDArray[np.uint8]) -> float:
        """The ideal length of the symbols together, in bits; a payload is up to 4 bytes longer. See `costs`."""
        return float(self.costs(symbols, rows).sum())

    def costs(self, symbols: NDArray[np.int32], rows: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The ideal length of each symbol, in bits, an escape's excess included: float64 [n].

        symbols: int32 [n]; rows: uint8 [n], all below len(self). Raises InputError as `split` does.
        """
        coded, indices, excess = self.split(symbols, rows)
        costs = np.zeros(len(symbols))
        costs[coded] = -np.log2(self.counts / TOTAL)[self._starts[rows[coded]] + indices]
        lengths = excess_lengths(excess)
        # The last index of a row is the escape.
        escapes = coded[indices == 2 * self.half_widths[rows[coded]] + 1]
        costs[escapes] += np.minimum(lengths, EXCESS_CLASSES - 1) + lengths
        return costs

    def split(
        self, symbols: NDArray[np.int32], rows: NDArray[np.uint8]
    ) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.int32]]:
        """Splits symbols into what is coded of them.

        Returns (coded, indices, excess): the positions outside skip rows, intp [m]; the index into its row's
        counts for each of them, int32 [m]; and for each escape among them, in the same order, the symbol
        moved towards 0 by K: int32 [e], never 0.
        Raises InputError for wrong dtypes or shapes, a row that does not exist, a symbol in a skip row
        that is not 0, or an excess above MAX_EXCESS.
        """
        self.check_rows(rows)
        if symbols.dtype != np.int32 or symbols.shape != rows.shape:
            raise InputError(f"symbols must be int32 {list(rows.shape)}, not {symbols.dtype} {list(symbols.shape)}")
        coded = self.coded(rows)
        values = symbols[coded]
        if np.count_nonzero(values) != np.count_nonzero(symbols):
            raise InputError("a symbol in a skip row is not 0")
        widths = self.half_widths[rows[coded]]
        indices = values + widths
        escaped = np.flatnonzero((values > widths) | (values < -widths))
        outliers, widths = values[escaped].astype(np.int64), widths[escaped]
        indices[escaped] = 2 * widths + 1
        excess = outliers - np.sign(outliers) * widths
        if excess.size and np.abs(excess).max() > MAX_EXCESS:
            raise InputError("a symbol is too far outside of its table")
        return coded, indices, excess.astype(np.int32)

    def coded(self, rows: NDArray[np.uint8]) -> NDArray[np.intp]:
        """The positions outside skip rows in the flattened array. rows: uint8, any shape, all below len(self)."""
        # mode="clip" is faster than the check of the indices.
        return np.flatnonzero(np.take(self.are_coded, rows, mode="clip"))

    def check_rows(self, rows: NDArray[np.uint8]) -> None:
        """Raises InputError unless rows is uint8 [n] and all of them exist."""
        if rows.dtype != np.uint8 or rows.ndim != 1:
            raise InputError(f"rows must be uint8 [n], not {rows.dtype} {list(rows.shape)}")
        if rows.size and rows.max() >= len(self):
            raise InputError(f"row {rows.max()} of {len(self)}")


def _integers(array: NDArray[np.integer[Any]], name: str) -> NDArray[np.int64]:
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise WeightsError(f"{name} must be integers [n], not {array.dtype} {list(array.shape)}")
    return array.astype(np.int64)


def excess_lengths(excess: NDArray[np.int32]) -> NDArray[np.int32]:
    """The number of bits of |excess|, for |excess| from 1 to 2^20 - 1: int32 [e]."""
    return np.frexp(np.abs(excess).astype(np.float64))[1].astype(np.int32)


def quantise_counts(probabilities: NDArray[np.float64]) -> NDArray[np.int32]:
    """Counts for a row from probabilities: each at least 1, sum exactly TOTAL, the same on every machine.

    probabilities: float64 [n], 1 <= n <= TOTAL, finite, not negative, not all 0; they need not sum to 1.
    What would fall below 1 is raised to it, the others share the rest by largest remainder, the lower index
    first where remainders are equal. Raises InputError for anything else.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim != 1 or not 1 <= values.size <= TOTAL:
        raise InputError(f"probabilities must be [n] with n in 1 .. {TOTAL}, not {list(values.shape)}")
    if not np.all(np.isfinite(values)) or values.min() < 0.0 or values.max() <= 0.0:
        raise InputError("probabilities must be finite and not negative, and not all of them 0")
    values = values / values.max()  # so that the sum is finite
    counts = np.ones(values.size, np.int32)
    free = np.arange(values.size)
    while free.size:
        room = TOTAL - (values.size - free.size)
        # fsum rounds once, whatever the order: numpy's sum depends on the width of the machine's vectors.
        shares = values[free] * (room / math.fsum(values[free]))
        small = shares < 1.0
        if not small.any():
            whole = np.floor(shares).astype(np.int32)
            order = np.argsort(whole - shares, kind="stable")
            counts[free] = whole
            counts[free[order[: room - int(whole.sum())]]] += 1
            break
        free = free[~small]
    return counts
