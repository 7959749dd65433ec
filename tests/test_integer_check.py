"""Integer networks held against those they were made of: what is broken is named, and nothing is written."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from cae.bitstream.errors import WeightsError
from cae.codec.backends.tensors.checkpoint import load_frozen, parse_trained
from cae.codec.model.weights import weights_folder
from cae.codec.torch_codec import Codec
from cae.codec.training import integer_check
from cae.codec.training.model.model import CompressionModel

Crops = list[np.ndarray]


@pytest.fixture(scope="module")
def trained() -> CompressionModel:
    (path,) = weights_folder().glob("*.safetensors")
    return parse_trained(Path(path).read_bytes(), str(path)).requires_grad_(False).eval()


@pytest.fixture
def codec() -> Codec:
    frozen, fingerprint = load_frozen()
    return Codec(copy.deepcopy(frozen), fingerprint)


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
    # A layer of the synthesis whose outputs are all twice as large.
    codec.model.pixels.leave.scaled_weight *= 2
    codec.model.pixels.leave.upper_weight *= 2
    codec.model.pixels.levels *= 0.8
    (worst,) = integer_check.worst_blocks(trained, codec.coder, photographs, 1)
    assert worst.excess > 0
    assert "by integers" in str(worst)
    monkeypatch.setattr(integer_check, "hostile_crops", lambda: photographs)
    with pytest.raises(WeightsError, match="the integer networks break what the trained ones show: crop"):
        integer_check.check(trained, codec.coder, photographs)


def test_bits_that_the_integer_analysis_adds_are_noticed(
    trained: CompressionModel, codec: Codec, photographs: Crops, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert integer_check.largest_bits(trained, codec.coder, photographs) < integer_check.MOST_BITS
    codec.model.latents.reach *= 4
    monkeypatch.setattr(integer_check, "hostile_crops", lambda: [])
    monkeypatch.setattr(integer_check, "worst_blocks", lambda *_: [integer_check.Block(0, 0, 0, 0, 1.0, 1.0)])
    with pytest.raises(WeightsError, match="times the bits"):
        integer_check.check(trained, codec.coder, photographs)
