"""The bound on every block's error: what is beyond it, and how that is put right."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from cae.codec.codec import FileCoder
from cae.codec.encode import refine
from cae.codec.encode.block_bound import VARIANCE_FACTOR, bound, excess, floor, smooth_bound
from cae.codec.encode.options import EncodeOptions
from cae.codec.image.picture import Picture
from cae.codec.model.arrays import Pixels
from cae.codec.model.rate import rate_index_of
from cae.codec.select import load_on_cpu
from cae.codec.tile.coder import TileCoder


def by_networks(codec: FileCoder, pixels: np.ndarray, quality: float, effort: int) -> bytes:
    """A file without patches, which would be exact."""
    (data,) = codec.encode_pictures([Picture(pixels)], EncodeOptions(quality, effort=effort, patches="off"))
    return data


@pytest.fixture(scope="module")
def codec() -> FileCoder:
    return load_on_cpu()


def blocks(pixels: Pixels) -> Pixels:
    """uint8 [16h, 16w, 3] -> [h * w, 16, 16, 3]."""
    height, width, _ = pixels.shape
    return pixels.reshape(height // 16, 16, width // 16, 16, 3).swapaxes(1, 2).reshape(-1, 16, 16, 3)


def over_bound(codec: FileCoder, rate_index: int, original: Pixels, shown: Pixels) -> float:
    """The largest error of a block over its bound, of a picture of one tile."""
    networks = codec.coder.networks
    errors = np.square(blocks(shown).astype(float) - blocks(original)).mean(axis=(1, 2, 3))
    smooth = smooth_bound(networks, rate_index, errors[None, :, None]).repeat(len(errors))
    return float((errors / bound(blocks(original), floor(networks, rate_index), smooth)).max())


def test_the_bound_is_that_of_the_documentation(codec: FileCoder) -> None:
    networks, random = codec.coder.networks, np.random.default_rng(0)
    pixels = random.integers(0, 256, (6, 16, 16, 3), np.uint8)
    pixels[0] = 200
    pixels[1] = random.integers(100, 111, (16, 16, 3))  # a deviation of 3.2
    pixels[2] = random.integers(100, 110, (16, 16, 3))  # of 2.9
    variance = pixels.reshape(6, 256, 3).astype(float).var(axis=1).mean(axis=-1)
    expected = 40 + VARIANCE_FACTOR * variance
    expected[[0, 2]] = 24
    assert bound(pixels, 40.0, np.full(6, 24.0)) == pytest.approx(expected)
    expected[0] = 40
    expected[2] = 50
    assert bound(pixels, 40.0, np.full(6, 50.0)) == pytest.approx(expected)
    weights = networks.rate_weight
    floors = [floor(networks, rate_index) for rate_index in (0, 100, 255)]
    assert floors == pytest.approx([16 + 3 / (32 * np.log(2) * weights[index]) for index in (0, 100, 255)])
    assert floors[0] > floors[1] > floors[2] > 16
    # Half of the blocks of the first picture have an error of 1, half of those of the second one of 3.
    errors = np.array([[[1.0, 1.0, 1.0, 40.0]], [[3.0, 2.0, 3.0, 40.0]]])
    assert smooth_bound(networks, 255, errors) == pytest.approx([24, 48])
    assert smooth_bound(networks, 0, errors) == pytest.approx([3 / (160 * np.log(2) * weights[0])] * 2)


@pytest.mark.parametrize(("rate_index", "usual"), [(40, 0), (128, 0), (128, 4), (200, 0)])
def test_broken_blocks_are_found_exactly(codec: FileCoder, rate_index: int, usual: int) -> None:
    """One that is a level beyond its bound, not one that is on it, where half of the picture is wrong by so many
    levels."""
    networks = codec.coder.networks
    original = np.full((2, 64, 96, 3), 100, np.uint8)
    smooth = max(24, 3 / (160 * np.log(2) * networks.rate_weight[rate_index]), 16 * usual**2)
    least = min(floor(networks, rate_index), smooth)
    level = int(np.sqrt(least))
    shown = original + np.uint8(usual)
    shown[1, 16:32, 32:48] = 100 + level
    assert (excess(networks, rate_index, original, shown) <= 1).all()
    shown[1, 16:32, 32:48] += np.uint8(1)
    over = excess(networks, rate_index, original, shown)
    assert np.argwhere(over > 1).tolist() == [[1, 1, 2]]
    assert over.max() == pytest.approx((level + 1) ** 2 / least)
    original[1, 16:32, 32:40] = 80  # it varies, so more is allowed
    assert excess(networks, rate_index, original, shown)[1, 1, 2] <= 1


SATURATED = [(19, 255, 14), (255, 0, 0), (0, 0, 255), (255, 0, 255), (0, 255, 255), (250, 245, 3), (255, 255, 255)]


@pytest.mark.parametrize("effort", [1, 2, 4])
@pytest.mark.parametrize("quality", [2, 10, 20, 45, 70, 100])
def test_flat_colours_stay_within_their_bound(codec: FileCoder, quality: int, effort: int) -> None:
    flats = np.concatenate([np.full((64, 64, 3), colour, np.uint8) for colour in SATURATED], axis=1)
    shown = codec.decode(by_networks(codec, flats, quality, effort)).pixels
    # The fastest encoding does not look at pixels.
    assert over_bound(codec, rate_index_of(quality), flats, shown) <= (2 if effort == 1 else 1)


@settings(max_examples=40, deadline=None)
@given(
    colours=st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=6, max_size=6),
    slope=st.sampled_from([0, 5, 20, 60]),
    noise=st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0]),
    seed=st.integers(0, 2**32),
    quality=st.integers(0, 100),
    effort=st.integers(2, 4),
)
def test_flat_cells_stay_within_their_bound(
    codec: FileCoder,
    colours: list[tuple[int, int, int]],
    slope: int,
    noise: float,
    seed: int,
    quality: int,
    effort: int,
) -> None:
    """Others at every run: skies, walls, backdrops. By the networks alone now and then one is a little beyond it."""
    random = np.random.default_rng(seed)
    x = np.linspace(-0.5, 0.5, 64)[None, :, None]
    cells = [
        colour + x * random.normal(0, slope, 3) + random.normal(0, noise, (64, 64, 1)) + random.normal(0, noise / 2, 3)
        for colour in colours
    ]
    pixels = np.concatenate([np.concatenate(cells[:3], axis=1), np.concatenate(cells[3:], axis=1)])
    picture = pixels.round().clip(0, 255).astype(np.uint8)
    shown = codec.decode(by_networks(codec, picture, quality, effort)).pixels
    assert over_bound(codec, rate_index_of(quality), picture, shown) <= 2
    shown = codec.decode(codec.encode(Picture(picture), quality, effort=effort)).pixels
    assert over_bound(codec, rate_index_of(quality), picture, shown) <= 1


class Misled:
    """Networks whose hyper-latents say of every tile that it is grey and flat."""

    def __init__(self, networks: Any) -> None:
        self._networks = networks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._networks, name)

    def analyse_hyper(self, y: npt.NDArray[np.float32], rate_index: int) -> npt.NDArray[np.int32]:
        if y.shape[1:3] == (12, 12):  # what announces a busy area
            return self._networks.analyse_hyper(y, rate_index)  # type: ignore[no-any-return]
        grey = np.full((len(y), 16 * y.shape[1], 16 * y.shape[2], 3), 128, np.uint8)
        return self._networks.analyse_hyper(self._networks.analyse(grey, rate_index), rate_index)  # type: ignore[no-any-return]


@pytest.mark.parametrize("effort", [2, 4])
def test_what_the_hyper_latents_hide_is_put_right(
    codec: FileCoder, monkeypatch: pytest.MonkeyPatch, effort: int
) -> None:
    """Files that any decoder reads, whatever misled the encoder: nearly by the networks, wholly with patches."""
    misled = FileCoder(Misled(codec.coder.networks), codec.fingerprint)
    picture = np.full((128, 192, 3), (128, 128, 128), np.uint8)
    picture[32:64, 64:112] = 19, 255, 14
    shown = codec.decode(by_networks(misled, picture, 10, effort)).pixels
    assert over_bound(codec, 26, picture, shown) <= 1.25
    shown = codec.decode(misled.encode(Picture(picture), 10, effort=effort)).pixels
    assert over_bound(codec, 26, picture, shown) <= 1
    monkeypatch.setattr(refine, "excess", lambda *_: np.zeros((1, 8, 12)))
    shown = codec.decode(by_networks(misled, picture, 10, effort)).pixels
    assert over_bound(codec, 26, picture, shown) > 2


def test_what_is_put_right_beside_others_leaves_them_as_they_are(
    codec: FileCoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pictures that go through the networks together, each becomes the file that it becomes alone."""
    first, second = (np.full((64, 64, 3), colour, np.uint8) for colour in ((19, 255, 14), (128, 128, 128)))
    usual = by_networks(codec, second, 10, 1)

    def only_the_first(*arguments: Any) -> npt.NDArray[np.bool_]:
        return (arguments[2] == first).all(axis=(1, 2, 3))[:, None, None] & np.ones((1, 4, 4), bool)

    monkeypatch.setattr(refine, "suspected", only_the_first)
    # Whatever is looked at is beyond its bound, and nothing helps but what comes last.
    monkeypatch.setattr(refine, "excess", lambda _, __, original, ___: np.full((1, 4, 4), 2.0))
    codings: list[int] = []
    put_right = refine.put_right
    monkeypatch.setattr(refine, "put_right", lambda *given: codings.append(len(given[2])) or put_right(*given))
    files = codec.encode_pictures([Picture(first), Picture(second)], EncodeOptions(10, effort=1, patches="off"))
    assert files[1] == usual
    assert set(codings) == {1}
    assert len(codings) == len(refine.PUTTING_RIGHT)


def test_ordinary_pictures_are_looked_at_once(codec: FileCoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other coding than without a bound, and the same file."""
    photo = np.ascontiguousarray(skimage.data.astronaut()[:256, :256])  # type: ignore[no-untyped-call]
    codings: list[int] = []
    quantise = TileCoder.quantise
    monkeypatch.setattr(TileCoder, "quantise", lambda *a, **k: codings.append(1) or quantise(*a, **k))
    for quality in (10, 50, 90):
        for effort, rounds in ((1, 1), (2, 2), (3, 3)):
            codings.clear()
            codec.encode(Picture(photo), quality, effort=effort)
            assert len(codings) == rounds
