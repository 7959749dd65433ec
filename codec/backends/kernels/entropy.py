"""The entropy coder by the compiled kernels: the payloads of bitstream/entropy.py, in a hundredth of the time."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from ctypes import byref

import numpy as np
import numpy.typing as npt

from ....bitstream.entropy import Step, check_end, payload_of, words_of
from ....bitstream.errors import InputError
from ....bitstream.tables import TOTAL, ProbabilityTables
from .instructions import Kernels, Stack, Tables, address, keeping

PARTS = 256
"""Of a row's counts, at each of which looking for an entry may begin: LOOKUP of kernels.h."""

WRONG = {
    1: "a row that the tables do not have",
    2: "a symbol in a skip row is not 0",
    3: "a symbol is too far outside of its table",
}


def encode_steps(kernels: Kernels, tables: ProbabilityTables, steps: Sequence[Step]) -> bytes:
    """The payload of a tile, as of `bitstream.entropy.encode_steps`."""
    given = _tables(tables)
    words = np.empty(3 * sum(len(rows) for _, rows in steps) + 2, np.uint32)
    stack = Stack(0, words.ctypes.data, 0)
    for symbols, rows in reversed(steps):
        _check(rows)
        if symbols.dtype != np.int32 or symbols.shape != rows.shape:
            raise InputError(f"symbols must be int32 {list(rows.shape)}, not {symbols.dtype} {list(symbols.shape)}")
        symbols, rows = np.ascontiguousarray(symbols), np.ascontiguousarray(rows)
        order = np.empty(len(rows), np.int32)
        arrays = address(rows), address(symbols), address(order)
        _report(kernels.encode_step(byref(given), byref(stack), *arrays, len(rows)))
    rest = [stack.state & 0xFFFFFFFF, stack.state >> 32]
    return payload_of(np.concatenate([words[: stack.count], np.array(rest, np.uint32)]))


class StepDecoder:
    """The inverse of `encode_steps`, one step a call."""

    def __init__(self, kernels: Kernels, tables: ProbabilityTables, payload: bytes) -> None:
        """Raises CorruptError if the payload is not one that the encoder can write, as far as is known."""
        self._kernels, self._tables, self._words = kernels, _tables(tables), words_of(payload)
        first = self._words[-2:]
        state = int(sum(int(word) << 32 * place for place, word in enumerate(first)))
        self._stack = Stack(state, self._words.ctypes.data, len(self._words) - len(first))

    def decode(self, rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        """The symbols of the next step, int32 [n], for the rows of their tables, uint8 [n]. Raises InputError for a row
        that does not exist."""
        _check(rows)
        rows = np.ascontiguousarray(rows)
        symbols, order = (np.empty(len(rows), np.int32) for _ in range(2))
        arrays = address(rows), address(symbols), address(order)
        _report(self._kernels.decode_step(byref(self._tables), byref(self._stack), *arrays, len(rows)))
        return symbols

    def finish(self) -> None:
        """To be called after the last step. Raises CorruptError unless the payload is used up exactly."""
        check_end(self._stack.state, self._stack.count)


@functools.lru_cache(maxsize=8)
def _tables(tables: ProbabilityTables) -> Tables:
    """The tables as the kernels take them."""
    each = [np.zeros(2 * width + 3 if width else 0, np.uint32) for width in tables.half_widths.tolist()]
    for row, sums in enumerate(each):
        np.cumsum(tables.row(row), out=sums[1:])
    starts = np.cumsum([0, *map(len, each[:-1])], dtype=np.int64)
    lookup = np.zeros((len(tables), PARTS), np.uint16)
    for row, sums in enumerate(each):
        if len(sums):
            lookup[row] = np.searchsorted(sums, np.arange(0, TOTAL, TOTAL // PARTS), side="right") - 1
    arrays = tables.half_widths, np.concatenate(each), starts, lookup
    return keeping(Tables(*(array.ctypes.data for array in arrays), len(tables)), *arrays)


def _check(rows: npt.NDArray[np.uint8]) -> None:
    if rows.dtype != np.uint8 or rows.ndim != 1:
        raise InputError(f"rows must be uint8 [n], not {rows.dtype} {list(rows.shape)}")


def _report(found: int) -> None:
    if found:
        raise InputError(WRONG[found])
