"""The compiled kernels: on every level of instructions that this processor has, what numpy gives, to the bit."""

from __future__ import annotations

import shutil
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cae.codec.config import ACTIVATION_LIMIT, OPERAND_STEP
from cae.codec.image import Bytes, Picture
from cae.codec.integers import CLASSES, HALF
from cae.codec.light import native, threads
from cae.codec.light.layers import ArrayLayers, Tensors
from cae.codec.light.native import NativeLayers, levels
from cae.codec.light.networks import load_light

CHANNELS = ((4, 6), (36, 20), (128, 192), (100, 40), (516, 8))
"""Inputs and outputs: fewer than a vector has, parts of one at the end, whole ones, and the largest sums."""

SIZES = ((1, 2, 2), (1, 6, 10), (3, 12, 8))
"""Images, height, width."""

pytestmark = pytest.mark.skipif(not levels(), reason="no kernels were compiled")


@pytest.fixture(params=list(levels()))
def level(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=[1, 3])
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


def tensors(rng: np.random.Generator, inputs: int, outputs: int) -> Tensors:
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
    return Tensors(
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
@pytest.mark.parametrize("size", SIZES)
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
    given = Tensors({})
    expected = ArrayLayers(given).samples(patches, corrections)
    assert np.array_equal(NativeLayers(given, levels()[level]).samples(patches, corrections), expected)


def test_threads_of_a_program(photo: Bytes) -> None:
    """Several code at once, with the same model."""
    codec = load_light()
    pictures = [Picture(photo[top:]) for top in range(4)]
    expected = [codec.encode(picture, 50) for picture in pictures]
    found: dict[int, bytes] = {}

    def code(index: int) -> None:
        found[index] = codec.encode(pictures[index], 50)

    workers = [threading.Thread(target=code, args=(index,)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [found[index] for index in range(4)] == expected


def test_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in {"3": 3, "0": threads._cores(), "many": threads._cores(), "": threads._cores()}.items():
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


def test_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    levels.cache_clear()
    monkeypatch.setattr(native, "find_spec", lambda name: None)
    assert levels() == {}
    levels.cache_clear()


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_kernels_are_here() -> None:
    """Where they can be compiled they were: `pip install -e .` builds them. The last level is everyone's."""
    assert list(levels())[-1] == "plain"
