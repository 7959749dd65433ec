"""Pictures of an eighth of the size, by the linear transform alone: near the means of the pixels, the same by all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data

from cae.bitstream.container import PATCHES, Container, pack, unpack
from cae.codec.backends.kernels.instructions import levels
from cae.codec.backends.networks import NUMPY
from cae.codec.backends.previews import SIDE
from cae.codec.codec import FileCoder
from cae.codec.decode.damage import GREY
from cae.codec.decode.region import reduced
from cae.codec.encode.choice import Choice
from cae.codec.encode.mixed import with_patches
from cae.codec.encode.suspects import CELL
from cae.codec.image.picture import Picture
from cae.codec.model.distortion import psnr
from cae.codec.select import load_on_cpu
from cae.codec.torch_codec import load_codec

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def codec() -> FileCoder:
    return load_on_cpu()


@pytest.fixture(scope="module")
def cat() -> Pixels:
    """A photograph, uint8 [300, 451, 3]: of 28.2 squares by 56.4 at an eighth."""
    pixels: Pixels = skimage.data.chelsea()  # type: ignore[no-untyped-call]
    return pixels


def in_tiles(codec: FileCoder, pixels: Pixels, quality: float, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The file of a picture in tiles of 128 pixels."""
    monkeypatch.setattr("cae.codec.codec.DEFAULT_TILE", 2)
    return codec.encode(Picture(pixels), quality, effort=1)


@pytest.mark.parametrize(("quality", "least"), [(5, 27), (60, 34), (95, 38)])
@pytest.mark.parametrize("scale", [8, 16])
def test_near_the_means_of_the_pixels(codec: FileCoder, cat: Pixels, quality: float, least: float, scale: int) -> None:
    data = codec.encode(Picture(cat), quality, effort=1)
    small = codec.decode(data, scale=scale).pixels
    assert small.shape == (-(-300 // scale), -(-451 // scale), 3)
    assert psnr(small, reduced(codec.decode(data).pixels, scale)) > least


@pytest.mark.parametrize("quality", [0, 50, 100])
def test_every_back_end_gives_the_same(codec: FileCoder, cat: Pixels, quality: float) -> None:
    noise = np.random.default_rng(1).integers(0, 2, cat.shape, np.uint8) * 255
    for pixels in (cat, noise, np.ascontiguousarray(cat[..., 1])):
        data = codec.encode(Picture(pixels), quality, effort=1)
        expected = codec.decode(data, scale=8).pixels
        for other in (*(load_on_cpu(level=level) for level in (NUMPY, *levels())), load_codec("cpu")):
            assert np.array_equal(other.decode(data, scale=8).pixels, expected)


def test_latents_beyond_any_pictures_are_exact(codec: FileCoder) -> None:
    """With every tile beside them, or alone."""
    preview = codec.coder.networks.preview
    rng = np.random.default_rng(2)
    latents = (rng.integers(-(2**27), 2**27, (1, 4, 8, codec.coder.channels)) >> rng.integers(0, 27)).astype(np.int32)
    shown = preview(latents, 200)
    assert shown.shape == (1, 8, 16, 3)
    for row in range(4):
        alone = np.ascontiguousarray(latents[:, row : row + 1].repeat(4, axis=1))
        assert np.array_equal(preview(alone, 200)[:, :2], shown[:, 2 * row : 2 * row + 2])


def test_tiles_show_no_seams(codec: FileCoder, cat: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    data = in_tiles(codec, cat, 60, monkeypatch)
    small = codec.decode(data, scale=8).pixels
    latents = codec.decode_latents(unpack(data))
    whole = codec.coder.preview(latents, unpack(data).header.rate_index)
    assert np.array_equal(small, whole[:38, :57])
    assert psnr(small, reduced(codec.decode(data).pixels, SIDE)) > 34


def test_regions(codec: FileCoder, cat: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that begin at a square's corner are parts of the preview; others the means of their own pixels, exactly."""
    data = in_tiles(codec, cat, 60, monkeypatch)
    small, whole = codec.decode(data, scale=8).pixels, codec.decode(data).pixels
    for x, y, width, height in ((0, 0, 451, 300), (128, 8, 100, 60), (440, 296, 11, 4), (64, 64, 1, 1)):
        part = codec.decode(data, region=(x, y, width, height), scale=8).pixels
        bottom, right = -(-(y + height) // 8), -(-(x + width) // 8)
        assert np.array_equal(part, small[y // 8 : bottom, x // 8 : right])
    for scale in (8, 16):
        part = codec.decode(data, region=(3, 8, 100, 60), scale=scale).pixels
        assert np.array_equal(part, reduced(np.ascontiguousarray(whole[8:68, 3:103]), scale))
    rows: list[Pixels] = []
    codec.decode(data, scale=8, write=rows.append)
    assert np.array_equal(np.concatenate(rows), small)


def test_a_region_takes_its_own_tiles_alone(codec: FileCoder, cat: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    data = in_tiles(codec, cat, 60, monkeypatch)
    done: list[tuple[int, int]] = []
    codec.decode(data, region=(128, 128, 128, 128), scale=8, progress=lambda *counts: done.append(counts))
    assert done == [(1, 1)]


def test_networks_that_make_pixels_do_not_run(codec: FileCoder, cat: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(Picture(cat[:64, :64]), 60, effort=1)
    monkeypatch.delattr(codec.coder.networks.__class__, "synthesise")
    codec.decode(data, scale=8)
    codec.decode_many([data, data], scale=16)
    with pytest.raises(AttributeError):
        codec.decode(data, scale=4)


def test_files_together_as_alone(codec: FileCoder, cat: Pixels) -> None:
    files = [codec.encode(Picture(cat[top : top + 100, :150]), 40, effort=1) for top in (0, 100, 200)]
    for options in ({"scale": 8}, {"scale": 16, "region": (8, 16, 50, 50)}, {"scale": 8, "region": (1, 0, 50, 50)}):
        for data, picture in zip(files, codec.decode_many(files, **options), strict=True):  # type: ignore[arg-type]
            assert np.array_equal(codec.decode(data, **options).pixels, picture.pixels)  # type: ignore[arg-type]


def test_grey_and_alpha(codec: FileCoder, cat: Pixels) -> None:
    alpha = np.add.outer(np.arange(300), np.arange(451)).astype(np.uint8)
    data = codec.encode(Picture(np.ascontiguousarray(cat[..., 0]), alpha), 60, effort=1)
    small, whole = codec.decode(data, scale=8), codec.decode(data)
    assert small.alpha is not None
    assert small.pixels.shape == small.alpha.shape == (38, 57)
    assert psnr(small.pixels, reduced(whole.pixels, SIDE)) > 34
    assert np.array_equal(small.alpha, reduced(alpha, SIDE))


def with_cells(codec: FileCoder, pixels: Pixels) -> Container:
    """The file of a picture, every other 64 columns of which are coded without loss."""
    header = unpack(codec.encode(Picture(pixels), 60, effort=1)).header
    cells = np.zeros((-(-pixels.shape[0] // CELL), -(-pixels.shape[1] // CELL)), bool)
    cells[:, np.arange(cells.shape[1]) * CELL // 64 % 2 == 1] = True
    return with_patches(codec.coder, pixels, header, Choice(cells, pixels, 0), 2)


@pytest.mark.parametrize("kind", ["colour", "grey"])
def test_patches_are_laid_over(codec: FileCoder, cat: Pixels, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As means of their own pixels, up to the edges of a picture that end within a square."""
    monkeypatch.setattr("cae.codec.codec.DEFAULT_TILE", 2)
    pixels = cat if kind == "colour" else np.ascontiguousarray(cat[..., 1])
    data = pack(with_cells(codec, pixels))
    small, exact = codec.decode(data, scale=8).pixels, reduced(pixels, SIDE)
    for left in (8, 24, 40):
        assert np.array_equal(small[:, left : left + 8], exact[:, left : left + 8])
    assert psnr(small, reduced(codec.decode(data).pixels, SIDE)) > 34
    part = codec.decode(data, region=(40, 64, 200, 100), scale=8).pixels
    assert np.array_equal(part, small[8:21, 5:30])
    assert codec.decode(data, scale=16).pixels.shape[:2] == (19, 29)


def test_damaged_files(codec: FileCoder, cat: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost tiles are grey, lost patches too, and the rest is what it was."""
    data = bytearray(in_tiles(codec, cat, 60, monkeypatch))
    small = codec.decode(bytes(data), scale=8).pixels
    payload = unpack(bytes(data)).tiles[5].payload
    data[data.index(payload) + len(payload) // 2] ^= 1
    picture = codec.decode(bytes(data), scale=8, allow_damaged=True)
    assert picture.is_damaged
    lost = np.zeros(small.shape[:2], bool)
    lost[16:32, 16:32] = True  # tile 5 of 4 in a row
    assert (picture.pixels[lost] == GREY).all()
    assert np.array_equal(picture.pixels[~lost], small[~lost])

    file = with_cells(codec, cat)
    bad = bytearray(pack(file))
    (chunk,) = (chunk for chunk in file.chunks if chunk.kind == PATCHES)
    bad[bad.index(chunk.data) + len(chunk.data) // 2] ^= 1
    picture = codec.decode(bytes(bad), scale=8, allow_damaged=True)
    assert picture.is_damaged
    assert (picture.pixels[:, 8:16] == GREY).all()
    assert np.array_equal(picture.pixels[:, :8], codec.decode(pack(file), scale=8).pixels[:, :8])
