"""What training crops are made of besides photographs: drawn ones, and changes of those there are."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from PIL import Image

from cae.codec.training import augment, content
from cae.codec.training.augment import CHANGES, Change
from cae.codec.training.content import KINDS
from cae.codec.training.data import CropSource


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_drawn_crops(kind: Change) -> None:
    """Of any size, never twice the same, the same again from the same seed; all of the range of 8 bits occurs."""
    crops = [kind(64, np.random.default_rng(seed)) for seed in range(40)]  # type: ignore[arg-type]
    for crop in crops:
        assert crop.shape == (64, 64, 3)
        assert crop.dtype == np.uint8
    assert len({crop.tobytes() for crop in crops}) > 36
    assert np.array_equal(crops[3], kind(64, np.random.default_rng(3)))  # type: ignore[arg-type]
    assert kind(128, np.random.default_rng(0)).shape == (128, 128, 3)  # type: ignore[arg-type]
    values = np.stack(crops)
    assert values.min() < 10
    assert values.max() > 245


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changes(change: Change) -> None:
    pixels = np.ascontiguousarray(skimage.data.astronaut()[100:228, 100:228])  # type: ignore[no-untyped-call]
    changed = [change(pixels, np.random.default_rng(seed)) for seed in range(12)]
    for crop in changed:
        assert crop.shape == pixels.shape
        assert crop.dtype == np.uint8
    assert sum(np.array_equal(crop, pixels) for crop in changed) < 2
    assert np.array_equal(changed[5], change(pixels, np.random.default_rng(5)))


def test_recompressing_moves_the_grid_and_not_the_picture() -> None:
    ramp = np.repeat(np.arange(0, 256, 2, dtype=np.uint8)[None, :, None], 128, axis=0).repeat(3, axis=2)
    for seed in range(10):
        difference = augment._recompress(ramp, np.random.default_rng(seed)).astype(int) - ramp
        assert np.abs(difference).mean() < 8


def test_shares(tmp_path: object) -> None:
    assert content.SHARES.sum() == pytest.approx(1)
    assert augment.SHARES.sum() == pytest.approx(1)
    assert len(content.SHARES) == len(KINDS)
    assert len(augment.SHARES) == len(CHANGES)


def test_crops_are_drawn_and_changed_as_often_as_is_asked_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("grey")
    Image.fromarray(np.full((128, 128, 3), 77, np.uint8)).save(folder / "flat.png")

    def unusual(**shares: float) -> float:
        source = CropSource([folder], smallest=64, **shares)  # type: ignore[arg-type]
        random = np.random.default_rng(0)
        return float(np.mean([(source.crop(64, random) != 77).any() for _ in range(300)]))

    assert unusual() == 0
    assert 0.4 < unusual(drawn=0.5) < 0.6
    assert 0.15 < unusual(changed=0.5) < 0.5  # enlarging a flat changes nothing
