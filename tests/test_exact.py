"""Exactness: integer layers give the same latents and pixels however they are computed."""

from __future__ import annotations

import math
import runpy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from cae.bitstream.container import unpack
from cae.bitstream.errors import WeightsError
from cae.codec.backends.tensors import exact
from cae.codec.backends.tensors.analysis import FinePointwise
from cae.codec.backends.tensors.exact import (
    MAX_EXPONENT,
    MAX_OUTPUT,
    MIN_EXPONENT,
    Integer,
    exact_arithmetic,
    limited,
)
from cae.codec.backends.tensors.narrow import (
    NarrowDepthwise,
    NarrowPointwise,
    WidePointwise,
    halves,
    narrowed,
    operands,
    samples,
)
from cae.codec.backends.tensors.synthesis import LinearSynthesis
from cae.codec.image.picture import read_picture
from cae.codec.model.constants import WEIGHT_LIMIT
from cae.codec.torch_codec import load_codec

Bytes = npt.NDArray[np.uint8]

EXACTNESS = Path(__file__).parent.parent / "benchmarks" / "exactness.py"


def fill(layer: Integer, multiplier: float | None = None) -> Integer:
    """Random weights up to the layer's limit, with multipliers of all sizes unless it is given."""
    generator = torch.Generator().manual_seed(2)
    layer.weight.copy_(torch.randint(-WEIGHT_LIMIT, WEIGHT_LIMIT + 1, layer.weight.shape, generator=generator))
    layer.bias.copy_(torch.randint(-5000, 5001, layer.bias.shape, generator=generator))
    exponents = torch.randint(MIN_EXPONENT, MAX_EXPONENT + 1, layer.bias.shape, generator=generator)
    # Whatever the weights are: sums are below 2^24.
    exponents = exponents.clamp(min=int(24 - math.log2(MAX_OUTPUT)))
    layer.multiplier.copy_(2.0**-exponents if multiplier is None else torch.full(layer.bias.shape, multiplier))
    layer.settle()
    return layer


def hardest(shape: tuple[int, ...]) -> torch.Tensor:
    """Whole numbers of operands: 0 and 255 at random, and 255 throughout at one position."""
    u = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(3)) * 255.0
    u[0, 0, 0] = 255
    return u


@pytest.mark.parametrize("inputs", [8, 192, 500])
def test_narrow_pointwise_equals_float64(inputs: int) -> None:
    layer = NarrowPointwise(torch.empty(96, inputs), torch.empty(96))
    fill(layer)
    layer.weight[0] = 127  # the largest sums, of one sign
    layer.settle()
    u = hardest((1, 12, 20, inputs))
    expected = (u.double() @ layer.weight.double().T + layer.bias.double()) * layer.multiplier
    with exact_arithmetic():
        assert torch.equal(layer(u).double(), expected)
        assert torch.equal(layer.operands(u).double(), expected.round().clamp(0, 255))


def test_gates_are_limited() -> None:
    layer = NarrowPointwise(torch.empty(40, 24), torch.empty(40))
    fill(layer, 2.0**-18)
    u = hardest((1, 12, 20, 24))
    expected = (u.double() @ layer.weight.double().T + layer.bias.double()) * 2.0**-18
    layer.multiplier.fill_(2.0**-14)
    layer.settle()
    with exact_arithmetic():
        assert torch.equal(layer.limited_sums(u).double(), (16 * expected).clamp(0, 6))


def test_narrow_depthwise_equals_float64() -> None:
    layer = NarrowDepthwise(torch.empty(192, 1, 3, 3), torch.empty(192))
    fill(layer, 2.0**-8)
    u = hardest((1, 24, 40, 192))
    image, weight = u.permute(0, 3, 1, 2).double(), layer.weight.double()
    sums = torch.nn.functional.conv2d(image, weight, layer.bias.double(), padding=1, groups=192) * 2.0**-8
    with exact_arithmetic():
        found = layer.operands(u)
    assert torch.equal(found.permute(0, 3, 1, 2).double(), sums.round().clamp(0, 255))


@pytest.mark.parametrize("step", [8, 256])
def test_wide_pointwise_equals_float64(step: int) -> None:
    layer = WidePointwise(torch.empty(192, 320), torch.empty(192), step)
    limit = 128 * step
    generator = torch.Generator().manual_seed(2)
    layer.weight.copy_(torch.randint(-127, 128, layer.weight.shape, generator=generator))
    layer.weight[0], layer.weight[1] = 127, -127
    layer.bias.copy_(torch.randint(-60000, 60001, (192,), generator=generator))
    layer.multiplier.copy_(2.0 ** torch.randint(-14, -2, (192,), generator=generator))
    layer.settle()
    x = torch.randint(-limit, limit, (1, 12, 20, 320), generator=torch.Generator().manual_seed(3)).float()
    x[0, 0, 0], x[0, 0, 1] = limit - 1, -limit
    expected = (x.double() @ layer.weight.double().T + layer.bias.double()) * layer.multiplier
    with exact_arithmetic():
        assert torch.equal(layer(x), expected.float())


@pytest.mark.parametrize("step", [8, 256])
def test_halves_lose_nothing(step: int) -> None:
    x = torch.arange(-128 * step, 128 * step).float()
    upper, lower = halves(x, step)
    assert torch.equal(step * (upper.float() - 128) + lower.float(), x)
    assert (upper.min(), upper.max(), lower.min(), lower.max()) == (0, 255, 0, step - 1)


def test_linear_synthesis_multiplies_16_bits() -> None:
    linear = LinearSynthesis(torch.empty(768, 320), torch.empty(768))
    generator = torch.Generator().manual_seed(6)
    upper = torch.randint(-60, 61, (768, 320), generator=generator)
    lower = torch.randint(-60, 61, (768, 320), generator=generator)
    mixed = torch.cat([lower, upper], dim=1)
    for part, weight, bias, exponent in (
        (linear.top, upper, -128 * upper.sum(1), -2),
        (linear.middle, mixed, -128 * mixed.sum(1), -10),
    ):
        part.weight.copy_(weight)
        part.bias.copy_(bias)
        part.multiplier.fill_(2.0**exponent)
        part.settle()
    x = torch.randint(-(2**15), 2**15, (1, 4, 4, 320), generator=generator).float()
    x[0, 0, 0, 0], x[0, 0, 0, 1] = 40000, -40000
    limited_x = x.double().clamp(-(2**15) - 128, 2**15 - 129)
    left = (limited_x + 128) % 256 - 128
    expected = (limited_x @ (256 * upper + lower).double().T - left @ lower.double().T) * 2.0**-18
    with exact_arithmetic():
        assert torch.equal(linear(x), expected.float())


def test_layers_move_as_a_whole() -> None:
    """All that float32 sums need goes to another device with a layer: here to one without memory."""
    for layer in (NarrowPointwise, WidePointwise):
        moved = fill(layer(torch.empty(4, 8), torch.empty(4))).to("meta")
        with exact_arithmetic():
            assert moved(torch.empty(1, 2, 2, 8, device="meta")).shape == (1, 2, 2, 4)


def test_rounding_is_half_to_even_and_limited() -> None:
    assert limited(torch.tensor([0.5, 1.5, -0.5, -1.5, 2000, -2000])).tolist() == [0, 2, 0, -2, 1023, -1023]
    given = torch.tensor([-2000.0, -1023.0, -4.0, -1.0, 0.0, 4.0, 12.0, 1019.0, 1e9])
    assert narrowed(given).tolist() == [0, 0, 128, 128, 128, 128, 130, 255, 255]
    layer = NarrowPointwise(torch.empty(1, 1), torch.empty(1))
    layer.weight.fill_(1)
    layer.multiplier.fill_(0.5)
    layer.settle()
    assert layer.operands(torch.tensor([[1.0], [3.0], [255.0]])).flatten().tolist() == [0, 2, 128]
    given = torch.tensor([-130.0, -128.5, -0.5, 0.5, 1.5, 1.4999999, -63.499996, 127.5])
    assert operands(given).tolist() == [0, 0, 128, 128, 130, 129, 65, 255]
    given = torch.tensor([-3.0, 0.5, 1.5, 254.6, 300.0, -1e9, 1e9])
    assert samples(given).tolist() == [0, 0, 2, 255, 255, 0, 255]


def test_layers_that_are_not_exact_are_refused() -> None:
    layer = WidePointwise(torch.empty(4, 640), torch.empty(4))
    layer.weight.fill_(127)
    with pytest.raises(WeightsError, match="too large"):
        layer.settle()
    layer.weight.fill_(0.5)
    with pytest.raises(WeightsError, match="not integers"):
        layer.settle()
    layer.weight.fill_(1)
    for multiplier in (0.0, 3.0, 2.0**21, float("inf"), 2.0**-25):
        layer.multiplier.fill_(multiplier)
        with pytest.raises(WeightsError, match="power of two"):
            layer.settle()
    layer.multiplier.fill_(2.0**20)
    with pytest.raises(WeightsError, match="32 bits"):
        layer.settle()
    layer.multiplier.fill_(1)
    layer.weight.fill_(128)
    with pytest.raises(WeightsError, match="too large"):
        layer.settle()


def test_sums_that_are_not_exact_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    exact.check_sums("cpu")
    monkeypatch.setattr(exact, "pointwise", lambda x, weight: (x.bfloat16() @ weight.bfloat16().T).float())
    with pytest.raises(WeightsError, match="not exact"):
        exact.check_sums.__wrapped__("cpu")


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
    settings = exact._process_settings()

    def fail(_: object) -> None:
        raise RuntimeError("no such setting")

    monkeypatch.setattr(exact, "_process_settings", lambda: [*settings, (lambda: None, fail, None)])
    with pytest.raises(RuntimeError, match="no such setting"), exact_arithmetic():
        pass  # pragma: no cover
    assert (products(), torch.backends.cudnn.enabled, exact._inside) == (reduced, True, 0)


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


def test_fine_pointwise_multiplies_16_bits() -> None:
    layer = FinePointwise(torch.empty(40, 768), torch.empty(40))
    generator = torch.Generator().manual_seed(7)
    weight = torch.randint(-(2**13), 2**13, (40, 768), generator=generator)
    upper = (weight / 256).round()
    for part, values, exponent in (
        (layer.upper, upper, -2),
        (layer.lower, (weight - 256 * upper).clamp(-127, 127), -10),
    ):
        part.weight.copy_(values)
        part.bias.copy_(torch.randint(-5000, 5001, (40,), generator=generator))
        part.multiplier.fill_(2.0**exponent)
        part.settle()
    u = hardest((1, 12, 20, 768))
    upper, lower = (
        ((u.double() @ part.weight.double().T + part.bias.double()) * part.multiplier).float()
        for part in (layer.upper, layer.lower)
    )
    with exact_arithmetic():
        assert torch.equal(layer(u), upper + lower)
