"""The compiled kernels: on every level of instructions that this processor has, what numpy gives, to the bit."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cae.bitstream.errors import WeightsError
from cae.bitstream.tables import ProbabilityTables
from cae.codec.backends.kernels import instructions
from cae.codec.backends.kernels.instructions import VERSION, levels
from cae.codec.backends.native_layers import LONGEST_RUN, NativeLayers
from cae.codec.backends.networks import NUMPY
from cae.codec.backends.numpy_layers import ArrayLayers
from cae.codec.machine import threads
from cae.codec.model.config import ACTIVATION_LIMIT, LATENT_FRACTION, OPERAND_STEP, ModelConfig
from cae.codec.model.constants import CLASSES, HALF, INPUT_LIMIT, INPUT_ONE, STEPS
from cae.codec.model.integer_weights import IntegerWeights, Numbers
from cae.codec.select import load_on_cpu
from cae.codec.tile.quantize import rounding_costs

CHANNELS = ((4, 6), (36, 20), (128, 192), (100, 40), (3, 5), (33, 17), (516, 8))
"""Inputs and outputs: fewer than a vector has, parts of one at the end, whole ones, and the largest sums."""

SIZES = ((1, 2, 2), (1, 6, 10), (3, 12, 8), (1, 10, 14))
ODD_SIZES = ((1, 1, 1), (1, 5, 7), (2, 1, 3))
"""Images, height, width. Ends after a tile or a chunk of positions of the kernels, and within."""

HEADER = Path(__file__).parent.parent / "codec" / "backends" / "kernels" / "kernels.h"

pytestmark = pytest.mark.skipif(not levels(), reason="no kernels were compiled")


@pytest.fixture(params=list(levels()))
def level(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=[pytest.param(1, marks=pytest.mark.slow), 3])
def in_parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one thread, and in parts of a few positions by several."""
    monkeypatch.setattr(threads, "_told", request.param)
    monkeypatch.setattr(threads.in_threads, "__defaults__", (5,))


def layer(rng: np.random.Generator, inputs: int, outputs: int, most: int = 127) -> dict[str, npt.NDArray[Any]]:
    """Weights up to the largest, as far as sums stay exact."""
    most = min(most, 2**24 // (inputs * 256))
    weight = rng.integers(-most, most + 1, (outputs, inputs))
    weight[0] = most
    weight[1] = -most
    return {
        "weight": weight.astype(np.int8),
        "bias": rng.integers(-5000, 5000, outputs, np.int32),
        "multiplier": (2.0 ** rng.integers(-9, -3, outputs)).astype(np.float32),
    }


def weights_of(tensors: dict[str, npt.NDArray[Any]]) -> IntegerWeights:
    return IntegerWeights(ModelConfig(), tensors)


def tensors(rng: np.random.Generator, inputs: int, outputs: int) -> IntegerWeights:
    """Of one layer of each kind."""
    layers = {"one": (inputs, outputs), "linear.top": (inputs, outputs), "linear.middle": (2 * inputs, outputs)}
    layers |= {f"fine.{half}": (inputs, outputs) for half in ("upper", "lower")}
    layers |= {f"last.classes.{k}": (inputs, 2 * outputs) for k in range(4)}
    layers |= {
        f"blocks.{index}.{name}": shape
        for index in range(2)
        for name, shape in {
            "mix": (inputs, inputs),
            "spatial": (9, inputs),
            "project": (inputs, inputs),
            "value": (inputs, 2 * inputs),
            "gate": (inputs, 2 * inputs),
            "contract": (2 * inputs, inputs),
        }.items()
    }
    return weights_of(
        {f"{name}.{key}": value for name, shape in layers.items() for key, value in layer(rng, *shape).items()}
    )


def activations(rng: np.random.Generator, shape: tuple[int, ...], deviation: float = 500) -> npt.NDArray[np.float32]:
    """Among them halves, which are rounded to even, and some far out of bounds."""
    x = rng.normal(0, deviation, shape)
    x.ravel()[::3] = np.round(x.ravel()[::3] / 4) * 4  # halves of eight
    x.ravel()[::5] *= 1000
    return x.astype(np.float32)


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("size", [*SIZES, *ODD_SIZES])
def test_layers(level: str, channels: tuple[int, int], size: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(sum(channels) + sum(size))
    inputs, outputs = channels
    given = tensors(rng, inputs, outputs)
    expected, found = ArrayLayers(given), NativeLayers(given, levels()[level])
    x = activations(rng, (*size, inputs))
    gain, scale = (rng.normal(size=count).astype(np.float32) for count in (outputs, inputs))
    whole = (x * 16).astype(np.int32)
    pixels = rng.integers(0, 256, x.shape, np.uint8)
    for a, b in (
        (expected.narrow("one", x), found.narrow("one", x)),
        (expected.narrow("one", x, 1), found.narrow("one", x, 1)),
        *(
            (getattr(expected, name)(*words, **options), getattr(found, name)(*words, **options))
            for name, words, options in (
                ("wide", ("one", x, OPERAND_STEP, ACTIVATION_LIMIT), {}),
                ("wide", ("one", x, HALF, 2**15 - 1), {"gain": gain[:1]}),
                ("wide", ("one", whole, HALF, 2**15 - 1), {"scale": scale, "gain": gain}),
                ("linear", ("linear", whole, scale), {}),
                ("fine", ("fine", pixels), {}),
                ("fine", ("fine", pixels, gain), {}),
                ("blocks", ("blocks", x.copy(), 2), {}),
            )
        ),
    ):
        assert a.dtype == b.dtype == np.float32
        assert np.array_equal(a, b)


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("size", SIZES)
def test_parameters(level: str, channels: tuple[int, int], size: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(sum(channels) + sum(size))
    inputs, outputs = channels
    given = tensors(rng, inputs, outputs)
    x = activations(rng, (*size, inputs))
    units = 2.0 ** rng.integers(-3, 12, (len(CLASSES), outputs)).astype(np.float32)
    log_units = rng.uniform(-20, 80, units.shape).astype(np.float32)
    expected = ArrayLayers(given).parameters("last", x, units, log_units)
    found = NativeLayers(given, levels()[level]).parameters("last", x, units, log_units)
    for a, b in zip(expected, found, strict=True):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("size", SIZES)
def test_samples(level: str, size: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(sum(size))
    images, height, width = size
    patches = rng.normal(128, 100, (images, height, width, 768)).astype(np.float32)
    corrections = rng.normal(0, 20, (images, 2 * height, 2 * width, 192)).astype(np.float32)
    patches[:, 0] = np.round(patches[:, 0]) + 0.5
    corrections[:, :2] = 0
    given = weights_of({})
    expected = ArrayLayers(given).samples(patches, corrections)
    assert np.array_equal(NativeLayers(given, levels()[level]).samples(patches, corrections), expected)


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", range(STEPS))
def test_latents_of_a_step(level: str, size: tuple[int, int, int], step: int) -> None:
    """Rounded and put in their places, among them halves, ties, zeros of both signs and what is far beyond tables."""
    rng = np.random.default_rng(step)
    tables, kernels = find_tables(), levels()[level]
    images, height, width = size
    y = rng.normal(0, 1, (*size, 20)).astype(np.float32)
    y.ravel()[::7] *= 1000
    unit = 2.0 ** rng.integers(-3, 9, 20).astype(np.float32)
    unit[0] = 2**30
    y[..., 1] = np.round(y[..., 1] * 4) / 8 / unit[1]
    worth = rng.uniform(0.01, 50, 20).astype(np.float32)
    shape = (len(CLASSES), images, height // 2, width // 2, 5)
    means = rng.integers(-9, 10, shape).astype(np.float32)
    means.ravel()[::3] = 0
    rows = rng.integers(0, len(tables), shape, np.uint8)
    rows.ravel()[::5] = 0
    expected_layers, layers = ArrayLayers(weights_of({})), NativeLayers(weights_of({}), kernels)
    given = rounding_costs(tables), step, means, rows, y, unit, worth
    expected, symbols = expected_layers.round_latents(*given), layers.round_latents(*given)
    assert np.array_equal(symbols, expected)
    assert not symbols[rows == 0].any()
    assert np.abs(symbols).max() > 100
    symbols.ravel()[::4] = 2**20 + 5  # as other encoders may: what is beyond 2^24 is rounded to float32
    latents = [np.full((*size, 20), 7, np.int32) for _ in range(2)]
    expected_layers.place(step, means, symbols, latents[0])
    layers.place(step, means, symbols, latents[1])
    assert np.array_equal(*latents)
    large = (means + np.float32(16) * symbols).astype(np.float32)
    assert np.array_equal(np.sort(latents[0][latents[0] > 2**23]), np.sort(large[large > 2**23].astype(np.int32)))
    # Each position has a quarter of its channels in each step.
    assert (np.sum(latents[0] != 7, axis=-1) <= 5).all()


@pytest.mark.parametrize("wrong", ["means", "symbols", "rows", "unit", "y", "latents"])
def test_latents_of_other_sizes(level: str, wrong: str) -> None:
    """Kernels would read or write where there is nothing."""
    costs, kernels = rounding_costs(find_tables()), levels()[level]
    parts, whole = (4, 1, 3, 2, 5), (1, 6, 4, 20)
    shapes = dict.fromkeys(("means", "symbols", "rows"), parts) | {"y": whole, "latents": whole, "unit": (20,)}
    given = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    types = {"symbols": np.int32, "rows": np.uint8, "latents": np.int32}

    def tried() -> None:
        own = {name: array.astype(types.get(name, np.float32)) for name, array in given.items()}
        layers = NativeLayers(weights_of({}), kernels)
        layers.round_latents(costs, 1, own["means"], own["rows"], own["y"], own["unit"], own["unit"])
        layers.place(1, own["means"], own["symbols"], own["latents"])

    tried()
    given[wrong] = given[wrong][..., :-1]
    with pytest.raises(WeightsError):
        tried()


def find_tables() -> ProbabilityTables:
    """Those of the shipped weights, with a row more that has none."""
    shipped = load_on_cpu(level=NUMPY).coder.tables
    return ProbabilityTables(np.append(shipped.half_widths, 0), shipped.counts)


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("channels", [1, 40, 203])
@pytest.mark.parametrize("size", SIZES)
def test_logarithms(level: str, size: tuple[int, int, int], channels: int) -> None:
    rng = np.random.default_rng(channels)
    y = rng.normal(0, 3, (*size, channels)).astype(np.float32)
    y.ravel()[::3] = np.round(y.ravel()[::3] * INPUT_ONE) / INPUT_ONE + 0.5 / INPUT_ONE
    y.ravel()[::5] *= 1000
    given = weights_of({"logs": rng.integers(-(2**15), 2**15, INPUT_LIMIT + 1, np.int16)})
    expected = ArrayLayers(given).with_logs("logs", y)
    assert np.array_equal(NativeLayers(given, levels()[level]).with_logs("logs", y), expected)
    NativeLayers(given, levels()[level]).with_logs("logs", np.full_like(y, np.nan))  # of no use, and no crash
    with pytest.raises(WeightsError, match="logarithms"):
        NativeLayers(weights_of({"logs": np.zeros(INPUT_LIMIT, np.int16)}), levels()[level]).with_logs("logs", y)


@pytest.mark.parametrize("shape", [(1, 1), (5, 33), (64, 100)])
def test_squared_errors(level: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (2, *shape, 3), np.uint8)
    x[0], y[0] = 255, 0
    expected, found = ArrayLayers(weights_of({})), NativeLayers(weights_of({}), levels()[level])
    for a, b in ((x, y), (y, x), (x[:, ::-1], y[:, ::-1])):
        assert found.squared_errors(a, b) == expected.squared_errors(a, b) > (0, 0)
    assert found.squared_errors(x, x) == (0, 0)
    with pytest.raises(ValueError, match="against"):
        found.squared_errors(x, x[:-1])


@pytest.mark.parametrize("level", [name for name, kernels in levels().items() if kernels.order])
@pytest.mark.parametrize("most", [1, 40, 127])
@pytest.mark.parametrize("shape", [(1, 1), (40, 12), (100, 200), (64, 800)])
def test_sums_of_16_bits_have_room(level: str, shape: tuple[int, int], most: int) -> None:
    """Runs of words have the layer's weights, in an order in which no products add up to 2^15."""
    kernels = levels()[level]
    rng = np.random.default_rng(most)
    weight = rng.integers(-most, most + 1, shape, np.int8)
    weight[-1] = most
    numbers = Numbers(weight, np.zeros(len(weight), np.float32), np.ones(len(weight), np.float32))
    packed, _, _, order = NativeLayers(weights_of({}), kernels)._packed(numbers).kept[0]
    tiles, steps, pair = packed.shape
    words = packed.view(np.int8).reshape(tiles, steps, pair, 4)
    found = np.zeros((tiles, pair, -(-shape[1] // kernels.depth) * kernels.depth), np.int64)
    for own, (lengths, places), to in zip(
        words, ((o[:LONGEST_RUN], o[LONGEST_RUN:]) for o in order), found, strict=True
    ):
        at = 0
        for length in np.repeat(np.arange(1, LONGEST_RUN + 1), lengths):
            run = own[at : at + length].reshape(length, pair, 2, 2).astype(np.int64)
            for sign in (1, -1):
                assert 255 * np.maximum(sign * run, 0).sum(axis=(0, 3)).max() < 2**15
            for word, place in zip(own[at : at + length], places[at : at + length], strict=True):
                to[:, place : place + 4] += word
            at += length
    found = found.reshape(tiles * pair, -1)
    assert np.array_equal(found[: shape[0], : shape[1]], weight)
    assert np.count_nonzero(found) == np.count_nonzero(weight)


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What work(0), work(1) .. give, each in a thread of its own, begun at the same time."""
    barrier = threading.Barrier(count)

    def begin(index: int) -> Any:
        barrier.wait()
        return work(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def test_threads_of_a_program(level: str) -> None:
    """Several use the same layers at once, from the first time on: what kernels point to is made once."""
    rng = np.random.default_rng(1)
    given = tensors(rng, 128, 192)
    x = activations(rng, (1, 16, 16, 128))
    expected = ArrayLayers(given).wide("one", ArrayLayers(given).blocks("blocks", x.copy(), 2), HALF, 2**15 - 1)
    for _ in range(10):
        layers = NativeLayers(given, levels()[level])

        def code(index: int, layers: NativeLayers = layers) -> Any:
            return layers.wide("one", layers.blocks("blocks", x.copy(), 2), HALF, 2**15 - 1)

        assert all(np.array_equal(found, expected) for found in at_once(4, code))


def test_an_interrupted_layer_goes_on_in_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other threads still work on is kept by their work."""
    monkeypatch.setattr(threads, "_told", 2)
    started, go_on, kept = threading.Event(), threading.Event(), []

    class Memory:
        """Stands for arrays."""

    memory = Memory()
    watch = weakref.ref(memory)
    main = threading.current_thread()

    def work(memory: Memory, begin: int, end: int) -> int:
        if threading.current_thread() is main:
            started.wait()
            raise KeyboardInterrupt
        started.set()
        go_on.wait()
        kept.append(watch() is not None)
        return 0

    with pytest.raises(KeyboardInterrupt):
        threads.in_threads(functools.partial(work, memory), 10_000)
    del memory
    go_on.set()
    while not kept:
        time.sleep(0.01)
    assert kept[0]


def test_structures_keep_what_they_point_to(level: str) -> None:
    layers = NativeLayers(tensors(np.random.default_rng(1), 16, 32), levels()[level])
    block = layers._block("blocks.0")
    held = [*block.kept[0], *(array for part in block.kept[1].values() for array in part.kept[0])]
    addresses = {array.ctypes.data for array in held}
    pointers = [block.spatial_weights, block.spatial_bias, block.spatial_multiplier]
    for name in ("mix", "project", "value", "gate", "contract"):
        part = getattr(block, name)
        pointers += [part.weights, part.bias, part.multiplier, part.order]
    assert set(pointers) <= addresses


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_after_a_fork() -> None:
    """A child has none of its parent's threads."""
    script = """
import os, sys
from cae.codec.machine import threads
threads.set_threads(3)
threads.in_threads(lambda begin, end: 0, 10_000)
child = os.fork()
threads.in_threads(lambda begin, end: 0, 10_000)
sys.exit(os.waitpid(child, 0)[1] if child else 0)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=60)


def test_no_threads_are_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the interpreter ends."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    monkeypatch.setattr(threads, "_pool", lambda: pool)
    monkeypatch.setattr(threads, "_told", 4)
    done = []
    threads.in_threads(lambda begin, end: done.append(end - begin) or 0, 10_000)
    assert sum(done) == 10_000


@pytest.mark.parametrize("broken", ["wide", "narrow", "mix", "spatial", "value"])
def test_tensors_of_other_sizes(broken: str) -> None:
    """Kernels would read or write where there is nothing."""
    given = tensors(np.random.default_rng(1), 16, 32)
    name = {"wide": "one", "narrow": "one"}.get(broken, f"blocks.0.{broken}")
    weight = given.tensors[f"{name}.weight"]
    other = np.concatenate([weight, weight], axis=0 if broken == "value" else 1)
    layers = NativeLayers(weights_of({**given.tensors, f"{name}.weight": other}), next(iter(levels().values())))
    x = np.zeros((1, 4, 4, 16), np.float32)
    calls = {"wide": lambda: layers.wide("one", x, HALF, 100), "narrow": lambda: layers.narrow("one", x)}
    with pytest.raises(WeightsError):
        calls.get(broken, lambda: layers.blocks("blocks", x, 1))()


def test_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in {
        "3": 3,
        "4,2": 4,
        "0": threads.cores(),
        "many": threads.cores(),
        "": threads.cores(),
    }.items():
        monkeypatch.setattr(threads, "_told", None)
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert threads.thread_count() == expected
    threads.set_threads(5)
    assert threads.thread_count() == 5


@pytest.mark.parametrize(("positions", "least"), [(1, 1), (7, 8), (100, 8), (9600, 384), (10_000, 384), (97, 1)])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_position_is_in_one_part(positions: int, least: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_told", count)
    parts = []
    threads.in_threads(lambda begin, end: parts.append((begin, end)) or 0, positions, least)
    parts.sort()
    assert [begin for begin, _ in parts] == [0, *(end for _, end in parts[:-1])]
    assert parts[-1][1] == positions
    assert len(parts) <= threads.PARTS * count


def test_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_told", 2)
    for lacking in (0, 1):
        with pytest.raises(MemoryError):
            threads.in_threads(lambda begin, end, lacking=lacking: bool(begin) == lacking, 10_000)


def test_constants() -> None:
    defined = dict(re.findall(r"#define (\w+) (\d+)", HEADER.read_text()))
    expected = {"CAE_KERNELS_VERSION": VERSION, "FRACTION": LATENT_FRACTION, "LONGEST_RUN": LONGEST_RUN}
    assert {name: int(defined[name]) for name in expected} == expected


@pytest.mark.parametrize("what", ["none", "damaged", "other version", "other size", "other offset", "other fields"])
def test_no_kernels(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing was compiled, where the library cannot be loaded, where it is of another version, and where the
    compiler laid its structures out in another way than ctypes does."""
    places = instructions.layout()
    others = {
        "other size": places | {"Layer": places["Layer"] + 8},
        "other offset": places | {"Input.most": places["Input.least"], "Input.least": places["Input.most"]},
        "other fields": {name: value for name, value in places.items() if name != "Kernels.compare"},
    }
    (tmp_path / "damaged.so").write_bytes(b"\x7fELF, and no more")
    if what == "none":
        monkeypatch.setattr(instructions, "find_spec", lambda name: None)
    elif what == "damaged":
        monkeypatch.setattr(
            instructions, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "damaged.so"))
        )
    elif what in others:
        monkeypatch.setattr(instructions, "layout", lambda: others[what])
    else:
        monkeypatch.setattr(instructions, "VERSION", instructions.VERSION + 1)
    levels.cache_clear()
    found = levels()
    levels.cache_clear()
    assert found == {}
