"""Tables and coder: round trips, golden payloads, and a second coder written from FORMAT.md alone."""

import contextlib
import json
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cae.bitstream import entropy, errors
from cae.bitstream.entropy import Decoder, Step
from cae.bitstream.tables import MAX_EXCESS, TOTAL, ProbabilityTables, quantise_counts
from cae.codec.backends.kernels import entropy as kernels_entropy
from cae.codec.backends.kernels.instructions import levels

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "entropy.json").read_text())
Steps = list[tuple[NDArray[np.int32], NDArray[np.uint8]]]


class Coder(NamedTuple):
    """One of the implementations."""

    encode_steps: Callable[[ProbabilityTables, Sequence[Step]], bytes]
    decoder: Callable[[ProbabilityTables, bytes], Decoder]


CODERS = {"python": Coder(entropy.encode_steps, entropy.StepDecoder)}
# The same for all levels.
for kernels in list(levels().values())[:1]:
    CODERS["kernels"] = Coder(
        partial(kernels_entropy.encode_steps, kernels), partial(kernels_entropy.StepDecoder, kernels)
    )


@pytest.fixture(params=CODERS.values(), ids=list(CODERS), scope="module")
def coder(request: pytest.FixtureRequest) -> Coder:
    each: Coder = request.param
    return each


class SecondCoder:
    """FORMAT.md, section 7, read by someone who has only Python integers."""

    def __init__(self, half_widths: list[int], counts: list[int]) -> None:
        rest = iter(counts)
        self.widths = half_widths
        self.rows = [[256 * next(rest) for _ in range(2 * k + 2)] if k else [] for k in half_widths]
        self.classes = [2 ** (24 - b) for b in range(1, 20)] + [2**5]

    def decode(self, payload: bytes, steps: list[list[int]]) -> list[list[int]]:
        if payload[-1:] == b"\0":
            raise ValueError("last byte is 0")
        payload += bytes(-len(payload) % 4)
        words = [int.from_bytes(payload[i : i + 4], "little") for i in range(0, len(payload), 4)]
        state = 0
        while words and state < 2**32:
            state = state * 2**32 + words.pop()

        def number(frequencies: list[int] | int) -> int:
            """`frequencies`: a list, or one integer for entries that all have this frequency."""
            nonlocal state
            q = state % 2**24
            if isinstance(frequencies, int):
                entry, f, c = q // frequencies, frequencies, q - q % frequencies
            else:
                sums = [0, *accumulate(frequencies)]
                assert sums[-1] == 2**24
                entry = bisect_right(sums, q) - 1
                f, c = frequencies[entry], sums[entry]
            state = f * (state // 2**24) + q - c
            if state < 2**32 and words:
                state = state * 2**32 + words.pop()
            return entry

        out = []
        for rows in steps:
            symbols = [0] * len(rows)
            escapes = []
            for row in sorted(set(rows)):
                width = self.widths[row]
                for position in [p for p, r in enumerate(rows) if r == row and width]:
                    symbols[position] = number(self.rows[row]) - width
                    if symbols[position] > width:
                        escapes.append(position)
            escapes.sort()
            bits = [number(self.classes) + 1 for _ in escapes]
            for position, b in zip(escapes, bits, strict=True):
                field = number(2 ** (24 - b))
                negative, low = divmod(field, 2 ** (b - 1))
                value = 2 ** (b - 1) + low + self.widths[rows[position]]
                symbols[position] = -value if negative else value
            out.append(symbols)
        if state or words:
            raise ValueError("not used up")
        return out

    def encode(self, steps: list[tuple[list[int], list[int]]]) -> bytes:
        numbers: list[tuple[int, int]] = []  # (f, c) in the order of decoding
        for symbols, rows in steps:
            escapes = []
            for row in sorted(set(rows)):
                width = self.widths[row]
                for position in [p for p, r in enumerate(rows) if r == row and width]:
                    inside = abs(symbols[position]) <= width
                    entry = symbols[position] + width if inside else 2 * width + 1
                    numbers.append((self.rows[row][entry], sum(self.rows[row][:entry])))
                    if not inside:
                        escapes.append(position)
            escapes.sort()
            excess = [abs(symbols[p]) - self.widths[rows[p]] for p in escapes]
            for v in excess:
                b = v.bit_length()
                numbers.append((self.classes[b - 1], sum(self.classes[: b - 1])))
            for p, v in zip(escapes, excess, strict=True):
                b = v.bit_length()
                field = v - 2 ** (b - 1) + (2 ** (b - 1) if symbols[p] < 0 else 0)
                numbers.append((2 ** (24 - b), field * 2 ** (24 - b)))
        state, words = 0, []
        for f, c in reversed(numbers):
            if state // 2**40 >= f:
                words.append(state % 2**32)
                state //= 2**32
            state = (state // f) * 2**24 + c + state % f
        while state > 0:
            words.append(state % 2**32)
            state //= 2**32
        return b"".join(word.to_bytes(4, "little") for word in words).rstrip(b"\0")


def second_coder(tables: ProbabilityTables) -> SecondCoder:
    return SecondCoder(tables.half_widths.tolist(), tables.counts.tolist())


def build(half_widths: list[int], counts: list[int]) -> ProbabilityTables:
    return ProbabilityTables(np.array(half_widths, np.int32), np.array(counts, np.int64))


TABLES = build(VECTORS["tables"]["half_widths"], VECTORS["tables"]["counts"])


def decode_all(coder: Coder, tables: ProbabilityTables, payload: bytes, rows: list[list[int]]) -> list[list[int]]:
    decoder = coder.decoder(tables, payload)
    out = [decoder.decode(np.array(step, np.uint8)).tolist() for step in rows]
    decoder.finish()
    return out


def arrays(steps: list[tuple[list[int], list[int]]]) -> Steps:
    return [(np.array(symbols, np.int32), np.array(rows, np.uint8)) for symbols, rows in steps]


@st.composite
def tables_strategy(draw: st.DrawFn) -> ProbabilityTables:
    half_widths = [0, *draw(st.lists(st.integers(0, 6), max_size=4))]
    counts: list[int] = []
    for width in filter(None, half_widths):
        size = 2 * width + 2
        cuts = draw(st.lists(st.integers(0, TOTAL - size), min_size=size - 1, max_size=size - 1))
        edges = [0, *sorted(cuts), TOTAL - size]
        counts += [b - a + 1 for a, b in pairwise(edges)]
    return build(half_widths, counts)


@st.composite
def messages(draw: st.DrawFn, tables: ProbabilityTables) -> list[tuple[list[int], list[int]]]:
    wild = st.integers(-MAX_EXCESS - 1, MAX_EXCESS + 1)  # every coded row has K >= 1
    pair = st.integers(0, len(tables) - 1).flatmap(
        lambda row: st.tuples(
            st.one_of(st.integers(-8, 8), wild) if tables.half_widths[row] else st.just(0), st.just(row)
        )
    )
    steps = draw(st.lists(st.lists(pair, max_size=30), max_size=5))
    return [([symbol for symbol, _ in step], [row for _, row in step]) for step in steps]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_round_trip_and_second_coder(coder: Coder, data: st.DataObject) -> None:
    tables = data.draw(tables_strategy())
    steps = data.draw(messages(tables))
    payload = coder.encode_steps(tables, arrays(steps))
    symbols, rows = [step[0] for step in steps], [step[1] for step in steps]
    assert decode_all(coder, tables, payload, rows) == symbols
    second = second_coder(tables)
    assert second.encode(steps) == payload
    assert second.decode(payload, rows) == symbols
    bits = sum(tables.cost_in_bits(*step) for step in arrays(steps))
    assert 8 * len(payload) - bits <= 32  # shorter only for first entries in the end, which are free


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40), st.lists(st.lists(st.integers(0, 3), max_size=20), max_size=4))
def test_any_payload_is_an_error_or_the_only_code(coder: Coder, payload: bytes, rows: list[list[int]]) -> None:
    try:
        symbols = decode_all(coder, TABLES, payload, rows)
    except errors.CorruptError:
        return
    assert coder.encode_steps(TABLES, arrays(list(zip(symbols, rows, strict=True)))) == payload


@pytest.mark.parametrize("case", VECTORS["generate"], ids=lambda case: case["name"])
def test_golden(coder: Coder, case: dict[str, Any]) -> None:
    payload = bytes.fromhex(case["payload"])
    steps = [(step["symbols"], step["rows"]) for step in case["steps"]]
    rows = [step[1] for step in steps]
    assert coder.encode_steps(TABLES, arrays(steps)) == payload
    assert decode_all(coder, TABLES, payload, rows) == [step[0] for step in steps]
    assert second_coder(TABLES).encode(steps) == payload
    assert second_coder(TABLES).decode(payload, rows) == [step[0] for step in steps]


@pytest.mark.parametrize("case", VECTORS["invalid"], ids=lambda case: case["name"])
def test_invalid(coder: Coder, case: dict[str, Any]) -> None:
    payload = bytes.fromhex(case["payload"])
    with pytest.raises(getattr(errors, case["error"])):
        decode_all(coder, TABLES, payload, case["rows"])
    with pytest.raises(ValueError, match=r"last byte is 0|not used up"):
        second_coder(TABLES).decode(payload, case["rows"])


def test_the_coders_agree() -> None:
    """On a step as large as one of a file, with escapes in it, and again on its payload with bits turned round."""
    rng = np.random.default_rng(9)
    rows = rng.integers(0, len(TABLES), 20_000).astype(np.uint8)
    symbols = np.round(rng.laplace(size=rows.size) * 2 ** rng.uniform(0, 15, rows.size)).astype(np.int32)
    symbols[TABLES.half_widths[rows] == 0] = 0
    steps = [(symbols[:15_000], rows[:15_000]), (symbols[15_000:], rows[15_000:])]
    first, *others = CODERS.values()
    payload = first.encode_steps(TABLES, steps)
    assert others or not levels()
    for damaged in (payload, bytes([*payload[:999], payload[999] ^ 4, *payload[1000:]])):
        decoder = first.decoder(TABLES, damaged)
        expected = [decoder.decode(own) for _, own in steps]
        for other in others:
            assert other.encode_steps(TABLES, steps) == payload
            decoder = other.decoder(TABLES, damaged)
            for own, (_, chosen) in zip(expected, steps, strict=True):
                assert np.array_equal(decoder.decode(chosen), own)


def test_nothing_to_code_costs_nothing(coder: Coder) -> None:
    cases: list[list[tuple[list[int], list[int]]]] = [[], [([], [])], [([0] * 50, [0] * 50), ([], [])]]
    for steps in cases:
        assert coder.encode_steps(TABLES, arrays(steps)) == b""
        assert decode_all(coder, TABLES, b"", [rows for _, rows in steps]) == [symbols for symbols, _ in steps]


def test_a_payload_without_symbols_is_corrupt(coder: Coder) -> None:
    with pytest.raises(errors.CorruptError):
        decode_all(coder, TABLES, b"\x01", [])


def test_cut_or_changed_payloads(coder: Coder) -> None:
    """Each either fails or gives other symbols: no two payloads mean the same."""
    rng = np.random.default_rng(5)
    rows = rng.integers(0, 4, 40).astype(np.uint8)
    symbols = np.where(rows > 0, rng.integers(-3, 4, 40), 0).astype(np.int32)
    payload = coder.encode_steps(TABLES, [(symbols, rows)])
    flips = [bytearray(payload) for _ in range(8 * len(payload))]
    for bit, flipped in enumerate(flips):
        flipped[bit // 8] ^= 1 << bit % 8
    cuts = [payload[:size] for size in range(len(payload))]
    for other in [*map(bytes, flips), *cuts, payload + b"\x01", payload + b"\0"]:
        with contextlib.suppress(errors.CorruptError):
            assert decode_all(coder, TABLES, other, [rows.tolist()]) != [symbols.tolist()]


@pytest.mark.parametrize("side", [1, -1])
def test_largest_excess(coder: Coder, side: int) -> None:
    width = int(TABLES.half_widths[1])
    rows = np.array([1], np.uint8)
    largest = np.array([side * (width + MAX_EXCESS)], np.int32)
    assert decode_all(coder, TABLES, coder.encode_steps(TABLES, [(largest, rows)]), [[1]]) == [largest.tolist()]
    for beyond in (largest + side, np.array([2**31 - 1 if side > 0 else -(2**31)], np.int32)):
        with pytest.raises(errors.InputError, match="too far"):
            coder.encode_steps(TABLES, [(beyond, rows)])


@pytest.mark.parametrize(
    ("symbols", "rows"),
    [
        (np.ones(3, np.int32), np.zeros(3, np.uint8)),
        (np.zeros(3, np.int64), np.zeros(3, np.uint8)),
        (np.zeros(3, np.int32), np.zeros(3, np.int32)),
        (np.zeros(2, np.int32), np.zeros(3, np.uint8)),
        (np.zeros((1, 3), np.int32), np.zeros((1, 3), np.uint8)),
        (np.zeros(1, np.int32), np.full(1, 200, np.uint8)),
    ],
    ids=["symbol in a skip row", "dtype of symbols", "dtype of rows", "lengths", "axes", "no such row"],
)
def test_wrong_calls(coder: Coder, symbols: NDArray[np.int32], rows: NDArray[np.uint8]) -> None:
    with pytest.raises(errors.InputError):
        coder.encode_steps(TABLES, [(symbols, rows)])
    with pytest.raises(errors.InputError):
        TABLES.cost_in_bits(symbols, rows)


def test_decoder_rejects_wrong_rows(coder: Coder) -> None:
    wrong: list[NDArray[Any]] = [np.zeros(1, np.int32), np.zeros((1, 1), np.uint8), np.full(1, 200, np.uint8)]
    for rows in wrong:
        with pytest.raises(errors.InputError):
            coder.decoder(TABLES, b"").decode(rows)


@pytest.mark.parametrize(
    ("half_widths", "counts"),
    [
        ([], []),
        ([0] * 257, []),
        ([1], [TOTAL - 3, 1, 1, 1]),
        ([0, -1], []),
        ([0, 1], [TOTAL - 2, 1, 1]),
        ([0, 1], [TOTAL - 3, 1, 1, 1, 1]),
        ([0, 1], [TOTAL - 2, 1, 1, 0]),
        ([0, 1], [TOTAL, 1, 1, 1]),
        ([0, 1, 1], [TOTAL - 2, 1, 1, 1, TOTAL - 4, 1, 1, 1]),
        ([0, 1 << 15], []),
    ],
)
def test_malformed_tables(half_widths: list[int], counts: list[int]) -> None:
    with pytest.raises(errors.WeightsError):
        build(half_widths, counts)


def test_tables_must_be_integers() -> None:
    with pytest.raises(errors.WeightsError):
        ProbabilityTables(np.zeros(1), np.zeros(0, np.int32))  # type: ignore[arg-type]
    with pytest.raises(errors.WeightsError):
        ProbabilityTables(np.zeros((1, 1), np.int32), np.zeros(0, np.int32))


def test_tables_are_frozen() -> None:
    source = np.array([0, 1], np.int32)
    tables = ProbabilityTables(source, np.array([TOTAL - 3, 1, 1, 1], np.uint16))
    source[1] = 5
    assert tables.half_widths.tolist() == [0, 1]
    with pytest.raises(ValueError, match="read-only"):
        tables.counts[0] = 2


def test_cost_of_each_entry() -> None:
    tables = build([0, 1], [TOTAL // 2, TOTAL // 4, TOTAL // 8, TOTAL // 8])
    one = np.array([1], np.uint8)
    costs = {-1: 1, 0: 2, 1: 3, 2: 3 + 2, -2: 3 + 2, 3: 3 + 4, 4: 3 + 4, 1 + MAX_EXCESS: 3 + 19 + 20}
    for symbol, bits in costs.items():
        assert tables.cost_in_bits(np.array([symbol], np.int32), one) == bits
    assert tables.cost_in_bits(np.zeros(9, np.int32), np.zeros(9, np.uint8)) == 0


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(0, 1e300), min_size=1, max_size=300).filter(any))
def test_quantise_counts(probabilities: list[float]) -> None:
    values = np.array(probabilities)
    counts = quantise_counts(values)
    assert counts.min() >= 1
    assert counts.sum() == TOTAL
    exact = values / values.max()
    exact *= TOTAL / math.fsum(exact)
    assert np.all(counts <= np.maximum(np.ceil(exact * (1 + 1e-9)), 1))
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(counts[order])[np.diff(values[order]) > 0] >= 0)


def test_the_estimate_is_close(coder: Coder) -> None:
    rng = np.random.default_rng(3)
    rows = rng.integers(0, len(TABLES), 5000).astype(np.uint8)
    spread = np.where(TABLES.half_widths > 0, TABLES.half_widths / 2, 0)
    symbols = np.round(rng.laplace(size=5000) * spread[rows]).astype(np.int32)
    bits = TABLES.cost_in_bits(symbols, rows)
    assert 0 <= 8 * len(coder.encode_steps(TABLES, [(symbols, rows)])) - bits <= 32


def test_quantise_counts_ties_and_extremes() -> None:
    assert quantise_counts(np.ones(3)).tolist() == [21846, 21845, 21845]
    assert quantise_counts(np.array([0.0, 1.0])).tolist() == [1, 65535]
    assert quantise_counts(np.ones(TOTAL)).tolist() == [1] * TOTAL
    assert quantise_counts(np.array([5e-324])).tolist() == [TOTAL]
    for wrong in ([], [0.0], [-1.0, 2.0], [math.nan], [math.inf], [[1.0]], np.ones(TOTAL + 1)):
        with pytest.raises(errors.InputError):
            quantise_counts(np.array(wrong))
