"""Integer networks held against those they were made of: what is broken is named, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data

from cae.bitstream.errors import WeightsError
from cae.codec.model.integer_weights import IntegerWeights, load_integers
from cae.codec.model.weights import find_weights
from cae.codec.torch_codec import Codec
from cae.codec.training import integer_check
from cae.codec.training.checkpoint import parse_trained
from cae.codec.training.model.model import CompressionModel

Crops = list[np.ndarray]


@pytest.fixture(scope="module")
def trained() -> CompressionModel:
    path = find_weights().path
    return parse_trained(Path(path).read_bytes(), str(path)).requires_grad_(False).eval()


def with_tensors(**factors: float) -> Codec:
    """The installed networks with some tensors multiplied."""
    weights, fingerprint = load_integers()
    tensors = dict(weights.tensors)
    for name, factor in factors.items():
        key = name.replace("__", ".")
        tensors[key] = tensors[key] * np.float32(factor)
    return Codec(IntegerWeights(weights.config, tensors), fingerprint)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(*load_integers())


@pytest.fixture(scope="module")
def photographs() -> Crops:
    images = skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()  # type: ignore[no-untyped-call]
    return [np.ascontiguousarray(image[60:188, 100:228]) for image in images]


def test_drawn_pictures_are_the_same_each_time() -> None:
    first, second = integer_check.hostile_crops(), integer_check.hostile_crops()
    assert len(first) == integer_check.CROPS
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_blocks_that_integers_break_are_named(
    trained: CompressionModel, codec: Codec, photographs: Crops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integer_check, "ROWS", (100, 180))
    (worst,) = integer_check.worst_blocks(trained, codec.coder, photographs, 1)
    assert worst.excess < 0
    # The synthesis' correction twice as large, all else darker.
    broken = with_tensors(pixels__leave__multiplier=2, pixels__levels=0.8)
    (worst,) = integer_check.worst_blocks(trained, broken.coder, photographs, 1)
    assert worst.excess > 0
    assert "by integers" in str(worst)
    monkeypatch.setattr(integer_check, "hostile_crops", lambda: photographs)
    with pytest.raises(WeightsError, match="the integer networks break what the trained ones show: crop"):
        integer_check.check(trained, broken.coder, photographs)


def test_bits_that_the_integer_analysis_adds_are_noticed(
    trained: CompressionModel, codec: Codec, photographs: Crops, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert integer_check.largest_bits(trained, codec.coder, photographs) < integer_check.MOST_BITS
    broken = with_tensors(latents__reach=4)
    monkeypatch.setattr(integer_check, "hostile_crops", lambda: [])
    monkeypatch.setattr(integer_check, "worst_blocks", lambda *_: [integer_check.Block(0, 0, 0, 0, 1.0, 1.0, 16.0)])
    with pytest.raises(WeightsError, match="times the bits"):
        integer_check.check(trained, broken.coder, photographs)
