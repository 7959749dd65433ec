"""The bound on every block's error: what is beyond it, and how that is put right."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from cae.codec.codec import FileCoder
from cae.codec.encode.block_bound import OF_VARIANCE, bound, broken, floor
from cae.codec.image.picture import Picture
from cae.codec.model.arrays import Pixels
from cae.codec.select import load_light
from cae.codec.tile.coder import TileCoder


@pytest.fixture(scope="module")
def codec() -> FileCoder:
    return load_light()


def blocks(pixels: Pixels) -> Pixels:
    """uint8 [16h, 16w, 3] -> [h * w, 16, 16, 3]."""
    height, width, _ = pixels.shape
    return pixels.reshape(height // 16, 16, width // 16, 16, 3).swapaxes(1, 2).reshape(-1, 16, 16, 3)


def excess(codec: FileCoder, rate_index: int, original: Pixels, shown: Pixels) -> float:
    """The largest error of a block over its bound."""
    errors = np.square(blocks(shown).astype(float) - blocks(original)).mean(axis=(1, 2, 3))
    return float((errors / bound(blocks(original), floor(codec.coder.networks, rate_index))).max())


def test_the_bound_is_that_of_the_documentation(codec: FileCoder) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (5, 16, 16, 3), np.uint8)
    pixels[0] = 200
    variance = pixels.reshape(5, 256, 3).astype(float).var(axis=1).mean(axis=-1)
    assert bound(pixels, 20.0) == pytest.approx(20 + OF_VARIANCE * variance)
    weights = codec.coder.networks.rate_weight
    floors = [floor(codec.coder.networks, rate_index) for rate_index in (0, 100, 255)]
    assert floors == pytest.approx([16 + 3 / (64 * np.log(2) * weights[index]) for index in (0, 100, 255)])
    assert floors[0] > floors[1] > floors[2] > 16


def test_broken_blocks_are_found_exactly(codec: FileCoder) -> None:
    """One that is a level beyond its bound, not one that is on it."""
    networks = codec.coder.networks
    original = np.full((2, 64, 96, 3), 100, np.uint8)
    least = floor(networks, 128)
    level = int(np.sqrt(least))
    shown = original.copy()
    shown[1, 16:32, 32:48] += np.uint8(level)
    assert not broken(networks, 128, original, shown).any()
    shown[1, 16:32, 32:48] += np.uint8(1)
    found = broken(networks, 128, original, shown)
    assert np.argwhere(found).tolist() == [[1, 1, 2]]
    original[1, 16:32, 32:40] = 90  # it varies, so more is allowed
    assert not broken(networks, 128, original, original + np.uint8(level + 1)).all()


def test_ordinary_pictures_are_looked_at_once(codec: FileCoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other coding than without a bound, and the same file."""
    photo = np.ascontiguousarray(skimage.data.astronaut()[:256, :256])  # type: ignore[no-untyped-call]
    codings: list[int] = []
    quantise = TileCoder.quantise
    monkeypatch.setattr(TileCoder, "quantise", lambda *arguments: codings.append(1) or quantise(*arguments))
    for quality in (10, 50, 90):
        for effort, rounds in ((1, 1), (2, 2), (3, 3)):
            codings.clear()
            codec.encode(Picture(photo), quality, effort=effort)
            assert len(codings) == rounds
