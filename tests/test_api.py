"""The public face of the package."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import cae
from cae.bitstream import errors

Bytes = npt.NDArray[np.uint8]


def test_names() -> None:
    assert cae.__all__ == ["CaeError", "Info", "__version__", "decode", "encode", "info"]
    for name in cae.__all__:
        assert getattr(cae, name) is not None
    assert cae.__version__ == version("cae-codec")
    assert cae.CaeError is errors.CaeError
    with pytest.raises(AttributeError, match="no attribute 'recode'"):
        cae.recode  # noqa: B018


def test_importing_it_is_cheap() -> None:
    code = "import sys, cae\nassert not {'torch', 'numpy', 'PIL', 'click', 'constriction'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_kind_of_image(photo: Bytes, photo_png: Path, stand_in: object) -> None:
    coded = cae.encode(photo, 40)
    for image in (photo_png, str(photo_png), Image.fromarray(photo), BytesIO(photo_png.read_bytes())):
        assert cae.encode(image, quality=40) == coded
    decoded = cae.decode(coded)
    assert isinstance(decoded, Image.Image)
    assert decoded.mode == "RGB"
    assert np.array_equal(np.asarray(decoded), photo)


def test_metadata_comes_back(photo: Bytes, stand_in: object) -> None:
    image = Image.fromarray(photo).convert("LA")
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    image.info.update(exif=exif.tobytes(), xmp=b"<x/>")
    coded = cae.encode(image)
    decoded = cae.decode(coded)
    assert decoded.mode == "LA"
    assert decoded.getexif()[0x010F] == "Maker"
    assert decoded.info["xmp"] == b"<x/>"
    about = cae.info(coded)
    assert isinstance(about, cae.Info)
    assert (about.width, about.height, about.mode, about.file_bytes) == (200, 120, "LA", len(coded))
    assert set(about.chunk_bytes) == {"alpha", "exif", "xmp"}
    assert about.tile_bytes + sum(about.chunk_bytes.values()) + about.overhead_bytes == len(coded)
    assert about.ratio == 200 * 120 * 2 / len(coded)


def test_errors(photo: Bytes, tmp_path: Path, stand_in: object) -> None:
    for quality in (-1, 101, float("nan")):
        with pytest.raises(errors.InputError, match="quality"):
            cae.encode(photo, quality)
    with pytest.raises(errors.ImageError, match=r"missing\.png: No such file"):
        cae.encode(tmp_path / "missing.png")
    coded = cae.encode(photo)
    for call in (cae.decode, cae.info):
        with pytest.raises(errors.NotCaeError):
            call(b"")
        with pytest.raises(errors.TruncatedError):
            call(coded[:-1])


class TestRealCodec:
    """With the real codec and its weights."""

    def test_there_and_back(self, photo: Bytes) -> None:
        decoded = np.asarray(cae.decode(cae.encode(photo, 95)))
        assert decoded.shape == photo.shape
        assert np.square(decoded.astype(float) - photo).mean() < 20

    def test_errors(self, photo: Bytes) -> None:
        for quality in (-1, 101, float("nan")):
            with pytest.raises(errors.InputError):
                cae.encode(photo, quality)
        with pytest.raises(errors.InputError):
            cae.encode(photo, device="abacus")
        with pytest.raises(errors.NotCaeError):
            cae.decode(b"hello")
