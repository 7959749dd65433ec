"""Samples that Pillow takes for others: signed, wide, premultiplied, in planes, of palettes, and channels left out."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cae.pillow  # registers the format
from cae.codec.image.picture import read_picture
from cae.errors import ImageError

tifffile = pytest.importorskip("tifffile")
RNG = np.random.default_rng(11)


def tiff(samples: np.ndarray, **options: Any) -> BytesIO:
    file = BytesIO()
    tifffile.imwrite(file, samples, metadata=None, **options)
    file.seek(0)
    return file


def both(file: BytesIO) -> list[Any]:
    """The file, and the image that Pillow has loaded of it, which has forgotten how samples are stored."""
    image = Image.open(BytesIO(file.getvalue()))
    image.load()
    return [BytesIO(file.getvalue()), image]


@pytest.mark.parametrize("order", "<>")
def test_signed_samples(order: str) -> None:
    signed = np.arange(-60, 60, dtype=np.int8).reshape(10, 12)
    for source in both(tiff(signed, photometric="minisblack", byteorder=order)):
        with pytest.raises(ImageError, match=r"samples below 0.*convert to unsigned"):
            read_picture(source)
    for source in both(tiff(abs(signed), photometric="minisblack", byteorder=order)):
        assert np.array_equal(read_picture(source).pixels, abs(signed))
    for source in both(tiff(signed.astype(np.int16) * 9, photometric="minisblack", byteorder=order)):
        with pytest.raises(ImageError, match=r"outside 0\.\.65535"):
            read_picture(source)


@pytest.mark.parametrize("dtype", [np.uint32, np.int32])
@pytest.mark.parametrize(("top", "divisor", "note"), [(255, 1, "taken for 8 bit"), (65535, 257, "16 bit reduced")])
def test_wide_integers(top: int, divisor: int, note: str, dtype: Any) -> None:
    values = np.linspace(0, top, 120).astype(dtype).reshape(10, 12)
    if dtype == np.int32:
        for source in both(tiff(values, photometric="minisblack")):
            assert np.array_equal(read_picture(source).pixels, np.round(values / divisor))
    picture = read_picture(Image.fromarray(values.astype(np.int32)))
    assert np.array_equal(picture.pixels, np.round(values / divisor))
    assert len(picture.notes) == 1
    assert note in picture.notes[0]


@pytest.mark.parametrize("order", "<>")
def test_premultiplied_16_bit(order: str) -> None:
    """Colours are divided by alpha before they are cut to 8 bits."""
    colours = RNG.integers(0, 65536, (20, 30, 3)).astype(np.uint64)
    alpha = RNG.integers(0, 65536, (20, 30, 1)).astype(np.uint64)
    alpha[0, :5, 0] = 0, 1, 255, 257, 65535
    stored = np.dstack([(colours * alpha + 32767) // 65535, alpha]).astype(np.uint16)
    picture = read_picture(tiff(stored, photometric="rgb", extrasamples=["assocalpha"], byteorder=order))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, np.round(alpha[..., 0] / 257))
    seen = alpha[..., 0] > 2000
    assert np.abs(picture.pixels[seen] - colours[seen] / 257).max() < 5
    bright = alpha[..., 0] > 30000
    assert np.abs(picture.pixels[bright] - colours[bright] / 257).max() < 0.51 + 255 / 30000 * 257 / 255


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("channels", "photometric"), [(4, "rgb"), (2, "minisblack")])
def test_a_channel_without_a_meaning_is_named(channels: int, photometric: str, dtype: Any) -> None:
    if (channels, dtype) == (2, np.uint16):
        return  # which Pillow does not read
    samples = RNG.integers(0, np.iinfo(dtype).max, (9, 8, channels)).astype(dtype)
    file = tiff(samples, photometric=photometric, extrasamples=["unspecified"], planarconfig="contig")
    for source in both(file):
        picture = read_picture(source)
        assert picture.alpha is None
        assert picture.notes[0] == "1 channel of a meaning that the file does not say left out"
    expected = samples[..., : channels - 1].squeeze() / (257 if dtype == np.uint16 else 1)
    assert np.array_equal(read_picture(file).pixels, np.round(expected))


@pytest.mark.parametrize("extrasamples", [["unassalpha"], ["assocalpha"]])
def test_alpha_is_no_channel_without_a_meaning(extrasamples: list[str]) -> None:
    samples = np.full((9, 8, 4), 255, np.uint8)
    for source in both(tiff(samples, photometric="rgb", extrasamples=extrasamples)):
        picture = read_picture(source)
        assert (picture.mode, picture.notes) == ("RGBA", ())


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("channels", [3, 4])
def test_planes_of_16_bit_are_refused_everywhere(channels: int, compression: str | None) -> None:
    """From a path, and from an image that Pillow has opened or loaded already, as the plugin gets it."""
    samples = RNG.integers(0, 65536, (channels, 20, 30)).astype(np.uint16)
    extra: dict[str, Any] = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    file = tiff(samples, photometric="rgb", planarconfig="separate", compression=compression, **extra)
    for source in both(file):
        with pytest.raises(ImageError, match="plane for each colour"):
            read_picture(source)
    with Image.open(file) as image, pytest.raises(cae.CaeError, match="plane for each colour"):
        image.save(BytesIO(), "CAE")
    eight = tiff((samples >> 8).astype(np.uint8), photometric="rgb", planarconfig="separate", **extra)
    assert np.array_equal(read_picture(eight).pixels, (samples[:3] >> 8).transpose(1, 2, 0))


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize(("top", "factor"), [(255, 1), (65535, 257), (256, 1)])
def test_palettes_of_tiff(top: int, factor: int, bits: int) -> None:
    """By the standard entries reach 65535; bytes in their place are taken as libtiff takes them."""
    count = 2**bits
    colours = RNG.integers(0, 256, (count, 3)).astype(np.uint16)
    colours[0] = 255
    entries = np.minimum(colours * factor, top) if top != 256 else np.maximum(colours, 256)
    samples = np.arange(count, dtype=np.uint8).reshape(count // 16, 16)
    data = struct.pack("<2sHI", b"II", 42, 8)
    packed = samples if bits == 8 else samples[:, ::2] << 4 | samples[:, 1::2]
    tags = {256: 16, 257: len(samples), 258: bits, 259: 1, 262: 3, 277: 1, 278: len(samples), 279: packed.nbytes}
    end = 8 + 2 + 12 * (len(tags) + 2) + 4
    tags |= {273: end, 320: end + packed.nbytes}
    for_each = [
        struct.pack("<HHII", t, 3 if t == 320 else 4, 3 * count if t == 320 else 1, v) for t, v in sorted(tags.items())
    ]
    data += struct.pack("<H", len(tags)) + b"".join(for_each) + bytes(4) + packed.tobytes()
    data += entries.T.astype("<u2").tobytes()
    for source in both(BytesIO(data)):
        picture = read_picture(source)
        expected = entries if top == 255 else np.round(entries / 257)
        assert np.array_equal(picture.pixels.reshape(-1, 3), expected)
        assert picture.notes == ("palette expanded",)
