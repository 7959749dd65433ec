"""PGM and PPM: rows that stay in the file, and rows that are written as they are decoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import cae as api
from cae.bitstream.errors import ImageSizeError
from cae.codec.image.netpbm import map_pixels
from cae.codec.image.picture import read_picture

Bytes = npt.NDArray[np.uint8]
Run = Callable[..., CompletedProcess[str]]
LIMIT = 10**6


@pytest.mark.parametrize("header", [b"P6\n200 120\n255\n", b"P6 200 120 255 ", b"P6\n#one\n200\t120 # 9 9\n255\n"])
def test_colour_is_mapped(tmp_path: Path, photo: Bytes, header: bytes) -> None:
    path = tmp_path / "photo.ppm"
    path.write_bytes(header + photo.tobytes() + b"something after it")
    mapped = map_pixels(path, LIMIT)
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, photo)
    assert np.array_equal(read_picture(path).pixels, photo)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), photo)


def test_grey_is_mapped(tmp_path: Path, photo: Bytes) -> None:
    Image.fromarray(photo[..., 0]).save(tmp_path / "photo.pgm")
    mapped = map_pixels(tmp_path / "photo.pgm", LIMIT)
    assert mapped is not None
    assert np.array_equal(mapped, photo[..., 0])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"P6",
        b"P6\n2 2\n255\n" + bytes(11),  # too short
        b"P6\n2 2\n65535\n" + bytes(24),  # 16 bits
        b"P6\n2 2\n254\n" + bytes(12),
        b"P6\n0 2\n255\n",
        b"P6\n1000 1001\n255\n" + bytes(3 * 1000 * 1001),  # more than are accepted
        b"P6\n999999999 999999999\n255\n",
        b"P3\n1 1\n255\n1 2 3\n",
        b"P4\n8 1\n\0",
        b"\x89PNG\r\n\x1a\n",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_anything_else_is_for_pillow(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.ppm"
    path.write_bytes(content)
    assert map_pixels(path, LIMIT) is None
    assert map_pixels(tmp_path, LIMIT) is None


def test_size_limit_holds(tmp_path: Path, photo: Bytes) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.ppm")
    with pytest.raises(ImageSizeError):
        read_picture(tmp_path / "photo.ppm", max_pixels=1000)


def test_files_are_those_of_the_same_pixels(cae: Run, tmp_path: Path, photo: Bytes, photo_png: Path) -> None:
    Image.fromarray(photo).save(tmp_path / "photo.ppm")
    for name in ("photo.png", "photo.ppm"):
        assert cae("encode", tmp_path / name, tmp_path / f"{name}.cae").returncode == 0
    assert (tmp_path / "photo.png.cae").read_bytes() == (tmp_path / "photo.ppm.cae").read_bytes()
    for options in ((), ("--region", "30,20,101,67"), ("--scale", "1/4"), ("--region", "1,1,99,50", "--scale", "1/2")):
        for suffix in ("png", "ppm"):
            result = cae("decode", tmp_path / "photo.png.cae", tmp_path / f"out.{suffix}", *options)
            assert result.returncode == 0, result.stderr
        with Image.open(tmp_path / "out.png") as whole, Image.open(tmp_path / "out.ppm") as rows:
            assert np.array_equal(np.asarray(whole), np.asarray(rows))
        assert f"{(tmp_path / 'out.ppm').stat().st_size:,} bytes" in result.stdout


def test_grey_decodes_to_both(cae: Run, tmp_path: Path, photo: Bytes) -> None:
    (tmp_path / "grey.cae").write_bytes(api.encode(np.ascontiguousarray(photo[..., 0])))
    for suffix in ("pgm", "ppm"):
        assert cae("decode", tmp_path / "grey.cae", tmp_path / f"grey.{suffix}").returncode == 0
    assert (tmp_path / "grey.pgm").read_bytes() == (tmp_path / "grey.ppm").read_bytes()


def test_what_they_cannot_hold_leaves_nothing(cae: Run, tmp_path: Path, photo: Bytes) -> None:
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    opaque = api.encode(np.dstack([photo, alpha]))
    alpha[0, 0] = 0
    (tmp_path / "clear.cae").write_bytes(api.encode(np.dstack([photo, alpha])))
    (tmp_path / "opaque.cae").write_bytes(opaque)
    (tmp_path / "bad.cae").write_bytes(opaque[:-1] + bytes([opaque[-1] ^ 1]))
    for source, output, code, message in (
        ("clear", "a.ppm", 6, "cannot hold transparency"),
        ("opaque", "a.pgm", 6, "PGM holds grey images only"),
        ("bad", "a.ppm", 4, "bad.cae"),
    ):
        result = cae("decode", tmp_path / f"{source}.cae", tmp_path / output)
        assert result.returncode == code
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.cae", "clear.cae", "opaque.cae"]
    assert cae("decode", tmp_path / "opaque.cae", tmp_path / "a.ppm").returncode == 0
