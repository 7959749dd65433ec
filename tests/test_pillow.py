"""The Pillow plugin: lazy opening, saving, metadata, damaged files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import cae
import cae.pillow  # registers the plugin
from cae.codec import pipeline


@pytest.fixture
def saved(tmp_path: Path, photo: np.ndarray) -> Path:
    path = tmp_path / "photo.cae"
    image = Image.fromarray(np.dstack([photo, np.full(photo.shape[:2], 200, np.uint8)]))
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(path, quality=40, icc_profile=icc, exif=exif)
    return path


def test_opening_decodes_nothing(saved: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "load_codec", lambda *_: pytest.fail("decoded"))
        image = Image.open(saved)
        assert (image.format, image.mode, image.size) == ("CAE", "RGBA", (200, 120))
        assert image.info["quality"] == pytest.approx(40, abs=0.2)
    image.load()
    assert image.info["icc_profile"].startswith(b"\0")
    assert image.getexif()[0x010F] == "Maker"
    assert np.array_equal(np.asarray(image), np.asarray(cae.decode(saved.read_bytes())))
    assert float(np.abs(np.asarray(image)[..., :3].astype(int) - photo).mean()) < 12


def test_open_files_convert_and_save_elsewhere(saved: Path, tmp_path: Path) -> None:
    with saved.open("rb") as file, Image.open(file) as image:
        image.convert("L").save(tmp_path / "grey.png")
    with Image.open(tmp_path / "grey.png") as grey:
        assert grey.size == (200, 120)
    small = BytesIO()
    with Image.open(saved) as image:
        image.save(small, "CAE", target_size=2000)
    assert len(small.getvalue()) <= 2000


def test_damaged_files(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(BytesIO(data[:100]))
    data[-9] ^= 1
    with pytest.raises(OSError, match=r"cannot identify|checksum"):
        Image.open(BytesIO(data)).load()
