"""Symbols to payload and back: an ANS coder over frozen tables (FORMAT.md, section 7), in Python's integers.

The symbols come in steps. The decoder learns the table rows of a step only from what it decoded before,
so it is called once a step.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import CorruptError
from .tables import EXCESS_CLASSES, ProbabilityTables, excess_lengths

Step = tuple[NDArray[np.int32], NDArray[np.uint8]]
"""Symbols int32 [n] and the rows of their tables uint8 [n], in the order of the file; n may be 0."""

PRECISION = 24  # frequencies sum to 2^24
_MASK = (1 << PRECISION) - 1
_WORD = (1 << 32) - 1

# 2^23, 2^22 .. 2^5 and 2^5: the unary part of an Exp-Golomb code as one symbol.
_CLASSES = [(1 << PRECISION) - (1 << PRECISION - n) for n in range(EXCESS_CLASSES)] + [1 << PRECISION]


class Decoder(Protocol):
    """What decodes a payload, step by step."""

    def decode(self, rows: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The symbols of the next step, int32 [n].

        rows: uint8 [n], the encoder's for this step. Raises InputError for a row that does not exist.
        A damaged payload gives arbitrary symbols here and an error from `finish`.
        """

    def finish(self) -> None:
        """Ends decoding, after the last step. Raises CorruptError unless the payload is used up exactly."""


def encode_steps(tables: ProbabilityTables, steps: Sequence[Step]) -> bytes:
    """The payload of a tile.

    steps: in decoding order. Raises InputError as `ProbabilityTables.split` does.
    """
    words: list[int] = []
    state = 0

    def push(first: int, frequency: int) -> None:
        nonlocal state
        if state >> 64 - PRECISION >= frequency:
            words.append(state & _WORD)
            state >>= 32
        quotient, rest = divmod(state, frequency)
        state = (quotient << PRECISION) + first + rest

    # The coder is a stack: what is to be decoded first is pushed last.
    for symbols, rows in reversed(steps):
        coded, indices, excess = tables.split(symbols, rows)
        lengths = excess_lengths(excess).tolist()
        for value, length in zip(reversed(excess.tolist()), reversed(lengths), strict=True):
            # The leading one of |excess| is known from the class; the sign takes its place.
            field = -value if value < 0 else value - (1 << length - 1)
            push(field << PRECISION - length, 1 << PRECISION - length)
        for length in reversed(lengths):
            push(_CLASSES[length - 1], _CLASSES[length] - _CLASSES[length - 1])
        order = _by_row(rows[coded])
        for row, index in zip(rows[coded][order][::-1].tolist(), indices[order][::-1].tolist(), strict=True):
            sums = tables.sums(row)
            push(sums[index] << 8, sums[index + 1] - sums[index] << 8)
    while state:
        words.append(state & _WORD)
        state >>= 32
    return payload_of(np.array(words, np.uint32))


class StepDecoder:
    """Decodes a payload of `encode_steps`, one step a call, in Python's integers."""

    def __init__(self, tables: ProbabilityTables, payload: bytes) -> None:
        """Raises CorruptError for a payload that ends in a zero byte, as none of the encoder's does."""
        self._tables = tables
        self._words = words_of(payload).tolist()
        self._state = 0
        while self._words and not self._state >> 32:
            self._state = self._state << 32 | self._words.pop()

    def decode(self, rows: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The symbols of the next step, int32 [n], by the rows of their tables, uint8 [n]. Raises InputError."""
        tables = self._tables
        tables.check_rows(rows)
        symbols = np.zeros(len(rows), np.int32)
        positions = tables.coded(rows)
        positions = positions[_by_row(rows[positions])]
        widths = tables.half_widths[rows]
        entries = []
        for row in rows[positions].tolist():
            sums = tables.sums(row)
            entry = bisect_right(sums, (self._state & _MASK) >> 8) - 1
            self._pop(sums[entry] << 8, sums[entry + 1] - sums[entry] << 8)
            entries.append(entry)
        symbols[positions] = np.array(entries, np.int32) - widths[positions]
        escaped = np.flatnonzero(symbols > widths).tolist()
        lengths = []
        for _ in escaped:
            length = bisect_right(_CLASSES, self._state & _MASK)
            self._pop(_CLASSES[length - 1], _CLASSES[length] - _CLASSES[length - 1])
            lengths.append(length)
        for position, length in zip(escaped, lengths, strict=True):
            field = (self._state & _MASK) >> PRECISION - length
            self._pop(field << PRECISION - length, 1 << PRECISION - length)
            half, width = 1 << length - 1, int(widths[position])
            symbols[position] = field + half + width if field < half else -field - width
        return symbols

    def finish(self) -> None:
        """Ends decoding, after the last step. Raises CorruptError unless the payload is used up exactly."""
        check_end(self._state, len(self._words))

    def _pop(self, first: int, frequency: int) -> None:
        self._state = frequency * (self._state >> PRECISION) + (self._state & _MASK) - first
        if self._words and not self._state >> 32:
            self._state = self._state << 32 | self._words.pop()


def words_of(payload: bytes) -> NDArray[np.uint32]:
    """The words of a payload, the least significant first. Raises CorruptError for one that ends in a zero byte."""
    if payload.endswith(b"\0"):
        raise CorruptError("the payload ends in a zero byte")
    return np.frombuffer(payload + bytes(-len(payload) % 4), "<u4").astype(np.uint32)


def payload_of(words: NDArray[np.uint32]) -> bytes:
    """The payload of words, the least significant first: the digits of one number, so that leading zeros can go."""
    return words.astype("<u4").tobytes().rstrip(b"\0")


def check_end(state: int, words: int) -> None:
    """Raises CorruptError unless a decoder's state is 0 and it has no words left."""
    if state or words:
        raise CorruptError("the payload goes on after the last symbol, or is damaged")


def _by_row(rows: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The indices that sort rows stably, intp [n]."""
    return np.argsort(rows, kind="stable")  # a radix sort for bytes
