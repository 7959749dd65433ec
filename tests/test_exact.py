"""Exactness: the integer prior gives the same latents however it is computed."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from cae.bitstream.container import unpack
from cae.bitstream.errors import WeightsError
from cae.codec import exact
from cae.codec.config import ACTIVATION_LIMIT
from cae.codec.exact import (
    ACCUMULATOR_LIMIT,
    MAX_EXPONENT,
    Integer,
    IntegerClassPointwise,
    IntegerDepthwise,
    IntegerGate,
    IntegerLeaky,
    IntegerPointwise,
    exact_arithmetic,
)
from cae.codec.image import read_picture
from cae.codec.pipeline import load_codec

Bytes = npt.NDArray[np.uint8]

EXACTNESS = Path(__file__).parent.parent / "benchmarks" / "exactness.py"


def largest(layer: Integer, beyond: float = 1) -> Integer:
    """Random weights that fill the bound (or go beyond it), with multipliers of all sizes."""
    generator = torch.Generator().manual_seed(2)
    terms = int(np.prod([layer.weight.shape[axis] for axis in layer.input_axes]))
    weight = torch.rand(layer.weight.shape, generator=generator, dtype=torch.float64) - 0.5
    # Rounding adds at most 1/2 to each.
    room = beyond * (ACCUMULATOR_LIMIT / ACTIVATION_LIMIT - terms / 2 - 2)
    layer.weight.copy_((weight * room / weight.abs().sum(layer.input_axes, keepdim=True)).round())
    limit = ACTIVATION_LIMIT
    layer.bias.copy_(torch.randint(1 - limit, limit, layer.bias.shape, generator=generator))
    layer.multiplier.copy_(2.0 ** -torch.randint(0, MAX_EXPONENT + 1, layer.bias.shape, generator=generator))
    layer.settle()
    return layer


def sums(layer: Integer, x: torch.Tensor) -> torch.Tensor:
    """What the layer is to round, in float64, which is exact: from the weights as they are stored."""
    weight, bias, x = layer.weight.double(), layer.bias.double(), x.double()
    if isinstance(layer, IntegerPointwise):
        return (x @ weight.T + bias) * layer.multiplier
    if isinstance(layer, IntegerClassPointwise):
        parts = zip(x, weight, bias, layer.multiplier, strict=True)
        return torch.stack([(part @ w + b) * m for part, w, b, m in parts])
    out = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=1, groups=len(bias))
    return out.permute(0, 2, 3, 1) * layer.multiplier


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (IntegerPointwise(torch.empty(768, 192), torch.empty(768)), (1, 24, 40, 192)),
        (IntegerDepthwise(torch.empty(192, 1, 3, 3), torch.empty(192)), (1, 24, 40, 192)),
        (IntegerClassPointwise(torch.empty(4, 192, 160), torch.empty(4, 1, 160)), (4, 1, 12, 20, 192)),
    ],
    ids=["pointwise", "depthwise", "class"],
)
def test_layers_equal_float64_at_the_bound(
    layer: Integer, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    largest(layer)
    generator = torch.Generator().manual_seed(3)
    signs = torch.randint(0, 2, shape, generator=generator) * 2 - 1
    x = (signs * torch.randint(ACTIVATION_LIMIT - 3, ACTIVATION_LIMIT + 1, shape, generator=generator)).float()
    if isinstance(layer, IntegerPointwise):
        x[0, 0, 0] = layer.weight[0].sign() * ACTIVATION_LIMIT  # all terms of one sign: the largest sum
    expected = sums(layer, x)
    if not isinstance(layer, IntegerClassPointwise):
        with monkeypatch.context() as patch, exact_arithmetic():
            patch.setattr(exact, "limited", lambda sums: sums)
            assert torch.equal(layer(x.clone()).double(), expected)  # before rounding can hide anything
        expected = expected.round().clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)
    with exact_arithmetic():
        assert torch.equal(layer(x.clone()).double(), expected.round())


def test_rounding_is_half_to_even_and_clamped() -> None:
    layer = IntegerPointwise(torch.empty(1, 1), torch.empty(1))
    layer.weight.fill_(1)
    layer.multiplier.fill_(0.5)
    layer.settle()
    x = torch.tensor([[1.0], [3.0], [-1.0], [-3.0], [1024.0]])
    assert layer(x).flatten().tolist() == [0, 2, 0, -2, 512]
    layer.multiplier.fill_(1)
    layer.settle()
    assert layer(x + 100).flatten().tolist() == [101, 103, 99, 97, 1024]
    assert IntegerLeaky()(torch.tensor([-1000.0, -64.0, -65.0, 7.0])).tolist() == [-8, 0, -1, 7]
    gate = IntegerGate(1)
    gate.multiplier.fill_(2.0**-10)
    assert gate(torch.tensor([[1024.0, 1024.0], [100.0, -5.0]])).flatten().tolist() == [1024, 0]


def test_layers_that_are_not_exact_are_refused() -> None:
    layer = IntegerPointwise(torch.empty(4, 8), torch.empty(4))
    with pytest.raises(WeightsError, match="too large"):
        largest(layer, beyond=1.01)
    layer.bias.zero_()
    layer.weight.fill_(0.5)
    with pytest.raises(WeightsError, match="not integers"):
        layer.settle()
    layer.weight.fill_(1)
    for multiplier in (0.0, 3.0, 2.0, float("inf"), 2.0**-30):
        layer.multiplier.fill_(multiplier)
        with pytest.raises(WeightsError, match="power of two"):
            layer.settle()


def test_reduced_precision_elsewhere_changes_nothing(photo: Bytes) -> None:
    codec = load_codec("cpu")
    container = unpack(codec.encode(read_picture(photo), 60))
    expected = codec.decode_latents(container)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(codec.decode_latents(container), expected)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_latents_are_the_same_on_every_machine(photo: Bytes, tmp_path: Path) -> None:
    """The least and the most that this machine can do; benchmarks/exactness.py has all settings, on many images."""
    script = runpy.run_path(str(EXACTNESS))
    codec = load_codec("cpu")
    files = []
    for quality in (5, 95):
        files.append(tmp_path / f"{quality}.cae")
        files[-1].write_bytes(codec.encode(read_picture(photo), quality))
    expected = script["decode"](files)
    assert len(set(expected)) == 2
    settings = script["SETTINGS"]
    for setting in (settings[0], settings[4], settings[-1]):
        assert script["decode_elsewhere"](files, setting) == expected, setting
