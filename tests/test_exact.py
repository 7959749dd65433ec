"""Exactness: integer layers give the same latents and pixels however they are computed."""

from __future__ import annotations

import runpy
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cae.bitstream.container import unpack
from cae.bitstream.errors import WeightsError
from cae.codec.backends import torch_exact
from cae.codec.backends.torch_exact import exact_arithmetic
from cae.codec.backends.torch_layers import TorchLayers, as_bytes, halves, operands
from cae.codec.image.picture import read_picture
from cae.codec.model.config import ModelConfig
from cae.codec.model.integer_weights import IntegerWeights
from cae.codec.torch_codec import load_codec

Bytes = npt.NDArray[np.uint8]
Numbers = dict[str, npt.NDArray[Any]]

EXACTNESS = Path(__file__).parent.parent / "benchmarks" / "exactness.py"


def numbers(outputs: int, inputs: int, exponents: tuple[int, int], most: int = 127, bias: int = 5000) -> Numbers:
    """A layer of random weights, the largest of both signs throughout its first outputs."""
    rng = np.random.default_rng(2)
    weight = rng.integers(-most, most + 1, (outputs, inputs))
    weight[0], weight[1] = most, -most
    return {
        "weight": weight.astype(np.int8),
        "bias": rng.integers(-bias, bias + 1, outputs, np.int32),
        "multiplier": (2.0 ** -rng.integers(*exponents, outputs)).astype(np.float32),
    }


def layers_of(**given: Numbers) -> TorchLayers:
    tensors = {f"{name}.{key}": values for name, own in given.items() for key, values in own.items()}
    return TorchLayers(IntegerWeights(ModelConfig(), tensors), "cpu")


def doubles(layer: Mapping[str, npt.NDArray[Any]]) -> tuple[Tensor, Tensor, Tensor]:
    """Weight, bias and multiplier in float64."""
    weight, bias, multiplier = (torch.from_numpy(layer[key]).double() for key in ("weight", "bias", "multiplier"))
    return weight, bias, multiplier


def hardest(shape: tuple[int, ...]) -> Tensor:
    """Whole numbers of operands: 0 and 255 at random, and 255 throughout at one position."""
    u = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(3)) * 255.0
    u[0, 0, 0] = 255
    return u


@pytest.mark.parametrize("inputs", [8, 192, 500])
def test_narrow_layers_equal_float64(inputs: int) -> None:
    layer = numbers(96, inputs, (-4, 25))
    weight, bias, multiplier = doubles(layer)
    u = hardest((1, 12, 20, inputs))
    layers = layers_of(one=layer)
    with layers.exact():
        found = layers.narrow("one", 8 * (u - 128))
    assert torch.equal(found.double(), (u.double() @ weight.T + bias) * multiplier)


def test_blocks_equal_float64() -> None:
    """Whose gates are limited, as what goes in and out of the depthwise layer is."""
    channels = 48
    sizes = {"mix": (1, 1), "project": (1, 1), "value": (2, 1), "gate": (2, 1), "contract": (1, 2)}
    given = {
        f"blocks.0.{key}": numbers(outputs * channels, inputs * channels, (10, 14))
        for key, (outputs, inputs) in sizes.items()
    }
    given["blocks.0.spatial"] = numbers(channels, 9, (8, 10))
    layers = layers_of(**given)
    own = {key: doubles(given[f"blocks.0.{key}"]) for key in (*sizes, "spatial")}

    def sums(key: str, u: Tensor) -> Tensor:
        weight, bias, multiplier = own[key]
        return (u @ weight.T + bias) * multiplier

    def added(x: Tensor, y: Tensor) -> Tensor:
        return (x + y).float().double()

    x = torch.from_numpy(np.random.default_rng(5).normal(0, 600, (1, 14, 20, channels)).astype(np.float32))
    y = x.double()
    mixed = sums("mix", operands(y)).round().clamp(0, 255)
    weight, bias, multiplier = own["spatial"]
    filtered = F.conv2d(mixed.permute(0, 3, 1, 2), weight.reshape(-1, 1, 3, 3), bias, padding=1, groups=channels)
    filtered = (filtered.permute(0, 2, 3, 1) * multiplier).round().clamp(0, 255)
    assert 0.05 < ((filtered > 0) & (filtered < 255)).double().mean() < 0.95
    y = added(y, sums("project", filtered))
    gate = sums("gate", operands(y)).clamp(0, 6)
    assert (gate == 6).any()
    assert ((gate > 0) & (gate < 6)).any()
    y = added(y, sums("contract", operands((sums("value", operands(y)) * gate).float().double(), 1)))
    with layers.exact():
        assert torch.equal(layers.blocks("blocks", x, 1).double(), y)


@pytest.mark.parametrize("step", [8, 256])
def test_wide_layers_equal_float64(step: int) -> None:
    layer = numbers(192, 320, (3, 15), bias=60000)
    weight, bias, multiplier = doubles(layer)
    limit = 128 * step
    x = torch.randint(1 - limit, limit, (1, 12, 20, 320), generator=torch.Generator().manual_seed(3)).float()
    x[0, 0, 0], x[0, 0, 1] = limit - 1, 1 - limit
    gain = torch.tensor([0.3, 1.7])
    expected = ((x.double() @ weight.T + bias) * multiplier).float()
    layers = layers_of(one=layer)
    with layers.exact():
        assert torch.equal(layers.wide("one", x, step, limit - 1), expected)
        assert torch.equal(layers.wide("one", 4 * x, step, limit - 1, scale=torch.tensor(0.25)), expected)
        assert torch.equal(layers.wide("one", x, step, limit - 1, gain=gain), expected * gain.repeat(96))


@pytest.mark.parametrize("step", [8, 256])
def test_halves_lose_nothing(step: int) -> None:
    x = torch.arange(-128 * step, 128 * step).float()
    steps, rest = halves(x, step)
    assert torch.equal(steps + rest, x)
    assert (steps.min(), steps.max(), rest.min(), rest.max()) == (-128 * step, 127 * step, 0, step - 1)
    assert not (steps % step).any()


def test_the_linear_synthesis_multiplies_16_bits() -> None:
    rng = np.random.default_rng(6)
    upper, lower = rng.integers(-60, 61, (2, 768, 320))
    mixed = np.concatenate([lower, upper], axis=1)
    parts = {"linear.top": (upper, 2), "linear.middle": (mixed, 10)}
    layers = layers_of(
        **{
            name: {
                "weight": weight.astype(np.int8),
                "bias": (-128 * weight.sum(1)).astype(np.int32),
                "multiplier": np.full(768, 2.0**-exponent, np.float32),
            }
            for name, (weight, exponent) in parts.items()
        }
    )
    x = torch.from_numpy(rng.integers(-(2**15), 2**15, (1, 4, 4, 320), np.int32))
    x[0, 0, 0, 0], x[0, 0, 0, 1] = 40000, -40000
    limited = x.double().clamp(-(2**15) - 128, 2**15 - 129)
    left = (limited + 128) % 256 - 128
    whole, low = (torch.from_numpy(weight).double() for weight in (256 * upper + lower, lower))
    with layers.exact():
        found = layers.linear("linear", x, torch.tensor(1.0))
    assert torch.equal(found, ((limited @ whole.T - left @ low.T) * 2.0**-18).float())


def test_fine_layers_multiply_16_bits() -> None:
    parts = [numbers(40, 768, exponents, 85) for exponents in ((2, 3), (10, 11))]
    u = hardest((1, 12, 20, 768))
    upper, lower = (
        ((u.double() @ weight.T + bias) * multiplier).float() for weight, bias, multiplier in map(doubles, parts)
    )
    layers = layers_of(**{"fine.upper": parts[0], "fine.lower": parts[1]})
    with layers.exact():
        assert torch.equal(layers.fine("fine", u.to(torch.uint8)), upper + lower)


def test_rounding_is_half_to_even_and_limited() -> None:
    given = torch.tensor([0.5, 1.5, -0.5, -1.5, 2000, -2000])
    assert layers_of().whole(given, 1023).tolist() == [0, 2, 0, -2, 1023, -1023]
    given = torch.tensor([-2000.0, -1023.0, -4.0, -1.0, 0.0, 4.0, 12.0, 1019.0, 1e9])
    assert operands(given).tolist() == [0, 0, 128, 128, 128, 128, 130, 255, 255]
    given = torch.tensor([-130.0, -128.5, -0.5, 0.5, 1.5, 1.4999999, -63.499996, 127.5])
    assert operands(given, 1).tolist() == [0, 0, 128, 128, 130, 129, 65, 255]
    given = torch.tensor([-3.0, 0.5, 1.5, 254.6, 300.0, -1e9, 1e9])
    assert as_bytes(given, 255).tolist() == [0, 0, 2, 255, 255, 0, 255]


def test_sums_that_are_not_exact_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_exact.check_sums("cpu")
    monkeypatch.setattr(torch_exact, "pointwise", lambda x, weight: (x.bfloat16() @ weight.bfloat16().T).float())
    with pytest.raises(WeightsError, match="not exact"):
        torch_exact.check_sums.__wrapped__("cpu")


NEW_SETTINGS = hasattr(torch.backends.mkldnn, "conv")
"""Whether settings are those of torch 2.9 and later, where the old function only tells what it was last given."""


def products() -> str:
    """How float32 products are allowed to be made."""
    mkldnn: Any = torch.backends.mkldnn
    return str(mkldnn.conv.fp32_precision) if NEW_SETTINGS else torch.get_float32_matmul_precision()


@pytest.fixture
def reduced() -> Iterator[str]:
    """What `products` says when a program has allowed them less than float32."""
    before = torch.get_float32_matmul_precision()
    conv: Any = torch.backends.mkldnn.conv if NEW_SETTINGS else None  # type: ignore[attr-defined]
    try:
        if NEW_SETTINGS:
            conv.fp32_precision = "bf16"
        else:
            torch.set_float32_matmul_precision("medium")
        assert products() in ("bf16", "medium")
        yield products()
    finally:
        if NEW_SETTINGS:
            conv.fp32_precision = "none"
        torch.set_float32_matmul_precision(before)


def check_inside() -> None:
    """To be called in exact arithmetic."""
    assert products() in ("ieee", "highest")
    assert not torch.backends.cudnn.enabled
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.slow
def test_reduced_precision_elsewhere_changes_nothing(photo: Bytes, reduced: str) -> None:
    codec = load_codec("cpu")
    data = codec.encode(read_picture(photo), 60)
    container = unpack(data)
    expected, pixels = codec.decode_latents(container), codec.decode(data).pixels
    with torch.autocast("cpu", torch.bfloat16):
        with exact_arithmetic():
            check_inside()
            with exact_arithmetic():
                check_inside()
            check_inside()
        assert np.array_equal(codec.decode_latents(container), expected)
        assert np.array_equal(codec.decode(data).pixels, pixels)
    with pytest.raises(ZeroDivisionError), exact_arithmetic():
        raise ZeroDivisionError
    assert products() == reduced
    assert torch.backends.cudnn.enabled


@pytest.mark.slow
def test_threads_are_in_exact_arithmetic_at_once(photo: Bytes, reduced: str) -> None:
    codec = load_codec("cpu")
    picture = read_picture(photo)
    files = [codec.encode(picture, quality) for quality in (20, 60)] * 2
    expected = [codec.decode(data).pixels for data in files]
    meeting = Barrier(len(files), timeout=60)  # breaks, and fails the test, unless all are in at a time

    def decode(data: bytes) -> Bytes:
        with exact_arithmetic():
            meeting.wait()
            pixels = codec.decode(data).pixels
            check_inside()
            return pixels

    with ThreadPoolExecutor(len(files)) as threads:
        found = list(threads.map(decode, files))
    assert all(map(np.array_equal, found, expected))
    assert products() == reduced


def test_settings_that_fail_are_restored(monkeypatch: pytest.MonkeyPatch, reduced: str) -> None:
    settings = torch_exact._process_settings()

    def fail(_: object) -> None:
        raise RuntimeError("no such setting")

    monkeypatch.setattr(torch_exact, "_process_settings", lambda: [*settings, (lambda: None, fail, None)])
    with pytest.raises(RuntimeError, match="no such setting"), exact_arithmetic():
        pass  # pragma: no cover
    assert (products(), torch.backends.cudnn.enabled, torch_exact._inside) == (reduced, True, 0)


@pytest.mark.slow
def test_files_and_pixels_are_the_same_on_every_machine(photo: Bytes, photo_png: Path, tmp_path: Path) -> None:
    """The least and the most that this machine can do; benchmarks/exactness.py has all settings, on many images."""
    script = runpy.run_path(str(EXACTNESS))
    codec = load_codec("cpu")
    files = []
    for quality in (5, 95):
        files.append(tmp_path / f"{quality}.cae")
        files[-1].write_bytes(codec.encode(read_picture(photo), quality))
    images = [photo_png] * 3  # at a quality each
    expected = script["digests"](files, images)
    assert len(set(expected)) == 5
    settings = script["SETTINGS"]
    for setting in (settings[0], settings[-1]):
        assert script["digests_elsewhere"](files, images, setting) == expected, setting


def test_defaults_of_the_process_do_not_matter(photo: Bytes) -> None:
    codec = load_codec("cpu")
    data = codec.encode(read_picture(photo), 50)
    with torch.device("meta"):
        assert codec.encode(read_picture(photo), 50) == data
