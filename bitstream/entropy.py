"""Symbols to payload and back: an ANS coder over frozen tables (FORMAT.md, section 7).

The symbols come in steps. The decoder learns the table rows of a step only from what it decoded before,
so it is called once a step; within a step the symbols are grouped by row, which is one call of the coder
for each row instead of one for each symbol.
"""

from collections.abc import Sequence

import constriction
import numpy as np
from numpy.typing import NDArray

from .errors import CorruptError
from .tables import EXCESS_CLASSES, ProbabilityTables, exact_model, excess_lengths

# 2^23, 2^22 .. 2^5 and 2^5: the unary part of an Exp-Golomb code as one symbol.
_CLASSES = exact_model(1 << np.array([24 - n for n in range(1, EXCESS_CLASSES)] + [25 - EXCESS_CLASSES]))
_FIELDS = constriction.stream.model.Uniform()


def encode_steps(tables: ProbabilityTables, steps: Sequence[tuple[NDArray[np.int32], NDArray[np.uint8]]]) -> bytes:
    """The payload of a tile.

    steps: in decoding order, each (symbols int32 [n], rows uint8 [n]); n may be 0, and differ between steps.
    Raises InputError as `ProbabilityTables.split` does.
    """
    coder = constriction.stream.stack.AnsCoder()
    # The coder is a stack: what is to be decoded first is pushed last.
    for symbols, rows in reversed(steps):
        coded, indices, excess = tables.split(symbols, rows)
        if excess.size:
            lengths = excess_lengths(excess)
            halves = np.left_shift(1, lengths - 1, dtype=np.int32)
            # The leading one of |excess| is known from the class; the sign takes its place.
            fields = np.where(excess < 0, -excess, excess - halves).astype(np.int32)
            coder.encode_reverse(fields, _FIELDS, 2 * halves)
            coder.encode_reverse(lengths - 1, _CLASSES)
        order, present, counts = _group(rows[coded])
        indices = indices[order]
        end = len(indices)
        for row, count in zip(reversed(present), reversed(counts), strict=True):
            coder.encode_reverse(indices[end - count : end], tables.model(row))
            end -= count
    words: NDArray[np.uint32] = coder.get_compressed()
    # The words are the digits of one number, the most significant last: leading zeros need not be kept.
    return words.astype("<u4").tobytes().rstrip(b"\0")


class StepDecoder:
    """Decodes a payload of `encode_steps`, one step a call."""

    def __init__(self, tables: ProbabilityTables, payload: bytes) -> None:
        """Raises CorruptError for a payload that ends in a zero byte, as none of the encoder's does."""
        if payload.endswith(b"\0"):
            raise CorruptError("the payload ends in a zero byte")
        words = np.frombuffer(payload + bytes(-len(payload) % 4), "<u4").astype(np.uint32)
        self._tables = tables
        self._coder = constriction.stream.stack.AnsCoder(words)

    def decode(self, rows: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The symbols of the next step, int32 [n].

        rows: uint8 [n], the encoder's for this step. Raises InputError for a row that does not exist.
        A damaged payload gives arbitrary symbols here and an error from `finish`.
        """
        tables, coder = self._tables, self._coder
        tables.check_rows(rows)
        positions = tables.coded(rows)
        order, present, counts = _group(rows[positions])
        positions = positions[order]
        parts = [coder.decode(tables.model(row), count) for row, count in zip(present, counts, strict=True)]
        widths = np.repeat(tables.half_widths[present], counts)
        values = np.concatenate([np.empty(0, np.int32), *parts]) - widths
        symbols = np.zeros(len(rows), np.int32)
        symbols[positions] = values
        escaped = np.sort(positions[values > widths])
        if escaped.size:
            lengths = coder.decode(_CLASSES, escaped.size) + 1
            halves = np.left_shift(1, lengths - 1, dtype=np.int32)
            fields = coder.decode(_FIELDS, 2 * halves)
            widths = tables.half_widths[rows[escaped]]
            symbols[escaped] = np.where(fields < halves, fields + halves + widths, -fields - widths)
        return symbols

    def finish(self) -> None:
        """To be called after the last step. Raises CorruptError unless the payload is used up exactly."""
        if not self._coder.is_empty():
            raise CorruptError("the payload goes on after the last symbol, or is damaged")


def _group(rows: NDArray[np.uint8]) -> tuple[NDArray[np.intp], list[int], list[int]]:
    """The indices that sort rows stably, intp [m], the rows that occur, and how often each does."""
    order = np.argsort(rows, kind="stable")  # a radix sort for bytes
    counts = np.bincount(rows)
    present = np.flatnonzero(counts)
    return order, present.tolist(), counts[present].tolist()
