"""Pictures whose red, green and blue are equal: coded as grey, given back as they came, without a tint."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

import cae
import cae.pillow  # registers the format
from cae.bitstream.container import AS_RGB, Chunk, Container, pack, unpack
from cae.codec.image.picture import Picture, grey_if_equal

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def grey(photo: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(photo).convert("L"))


def as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.dstack([grey] * 3)


def test_the_mode_is_kept_and_there_is_no_tint(grey: np.ndarray) -> None:
    for quality in (10, 50, 90):
        alone, data = cae.encode(grey, quality), cae.encode(as_rgb(grey), quality)
        assert len(data) - len(alone) == 14  # the chunk, and the number of chunks
        decoded = np.asarray(cae.decode(data))
        assert decoded.shape == (*grey.shape, 3)
        assert np.array_equal(decoded, as_rgb(np.asarray(cae.decode(alone))))
        about = cae.info(data)
        assert (about.mode, about.coded_grey, about.chunk_bytes) == ("RGB", True, {"as_rgb": 0})
    assert np.asarray(cae.decode(data, region=(3, 4, 50, 40), scale=2)).shape == (20, 25, 3)
    assert [image.mode for image in cae.Codec().decode_many([data, alone])] == ["RGB", "L"]
    with Image.open(BytesIO(data)) as image:
        assert (image.mode, np.asarray(image).shape) == ("RGB", (*grey.shape, 3))


def test_one_pixel_of_colour_is_enough(grey: np.ndarray) -> None:
    pixels = as_rgb(grey)
    assert grey_if_equal(Picture(pixels)).as_rgb
    for channel in range(3):
        tinted = pixels.copy()
        tinted[5, 7, channel] ^= 1
        picture = Picture(tinted)
        assert grey_if_equal(picture) is picture
    picture = Picture(grey)
    assert grey_if_equal(picture) is picture


def test_colour_under_transparent_pixels_does_not_count(grey: np.ndarray) -> None:
    pixels = np.dstack([as_rgb(grey), np.full(grey.shape, 255, np.uint8)])
    pixels[10:30, 20:50] = 200, 10, 10, 0
    data = cae.encode(pixels)
    assert (cae.info(data).mode, cae.info(data).coded_grey) == ("RGBA", True)
    assert cae.decode(data).mode == "RGBA"
    assert not cae.info(cae.encode(pixels, exact=True)).coded_grey


def test_targets(grey: np.ndarray) -> None:
    data = cae.encode(as_rgb(grey), target_psnr=32, effort=1)
    error = np.mean((np.asarray(cae.decode(data)).astype(float) - as_rgb(grey)) ** 2)
    assert 10 * np.log10(255**2 / error) >= 32


def test_a_colour_file_with_the_chunk_stays_colour(photo: np.ndarray) -> None:
    file = unpack(cae.encode(photo, effort=1))
    data = pack(Container(file.header, (*file.chunks, Chunk(AS_RGB, b"")), file.tiles))
    assert np.array_equal(np.asarray(cae.decode(data)), np.asarray(cae.decode(pack(file))))


def test_commands(cae: Run, tmp_path: Path, grey: np.ndarray) -> None:
    Image.fromarray(as_rgb(grey)).save(tmp_path / "a.png")
    assert cae("encode", tmp_path / "a.png", tmp_path / "a.cae").returncode == 0
    assert "coded as grey: red, green and blue are equal" in cae("info", tmp_path / "a.cae").stdout
    for format in ("png", "ppm", "tif"):
        assert cae("decode", tmp_path / "a.cae", tmp_path / f"b.{format}").returncode == 0
        with Image.open(tmp_path / f"b.{format}") as image:
            assert (image.mode, image.size) == ("RGB", grey.shape[::-1])
            pixels = np.asarray(image)
        assert (pixels == pixels[..., :1]).all()
    assert cae("decode", tmp_path / "a.cae", tmp_path / "b.pgm").returncode == 6
    assert not (tmp_path / "b.pgm").exists()
