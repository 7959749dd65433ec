"""The Pillow plugin: lazy opening, saving, metadata, damaged files."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import cae
import cae.pillow  # registers the plugin
from cae.bitstream.container import EXIF, Chunk, Container, pack, unpack
from cae.codec import select


@pytest.fixture
def saved(tmp_path: Path, photo: np.ndarray) -> Path:
    path = tmp_path / "photo.cae"
    image = Image.fromarray(np.dstack([photo, np.full(photo.shape[:2], 200, np.uint8)]))
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(path, quality=40, icc_profile=icc, exif=exif, xmp=b"<x/>")
    return path


def test_opening_decodes_nothing(saved: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(select, "load_decoder", lambda *_: pytest.fail("decoded"))
        image = Image.open(saved)
        assert (image.format, image.mode, image.size) == ("CAE", "RGBA", (200, 120))
        assert image.info["quality"] == pytest.approx(40, abs=0.2)
    image.load()
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


def test_thumbnails_are_decoded_reduced(saved: Path) -> None:
    data, scales = saved.read_bytes(), {}
    for side in (200, 60, 40, 12, 5, 1):
        with Image.open(saved) as image, Image.open(saved) as whole:
            image.thumbnail((side, side), reducing_gap=1)
            scales[side] = image._scale
            whole.load()
            whole.thumbnail((side, side))
            assert image.size == whole.size
            assert np.abs(np.asarray(image).astype(int) - np.asarray(whole)).mean() < 8
    assert scales == {200: 1, 60: 2, 40: 2, 12: 8, 5: 16, 1: 16}
    with Image.open(saved) as image:
        assert image.draft(None, None) is None
        assert image.draft("RGB", (20, 15)) == ("RGBA", (0, 0, 25, 15))
        assert image.size == (25, 15)
        assert np.array_equal(np.asarray(image), np.asarray(cae.decode(data, scale=8)))
        assert image.draft(None, (1, 1)) is None
        assert image.copy().draft(None, (1, 1)) is None


def test_metadata_is_there_before_the_pixels(saved: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from PIL import Image; import cae.pillow\n"
        f"image = Image.open({str(saved)!r})\n"
        "assert image.info['icc_profile'].startswith(bytes(1)) and image.info['xmp'] == b'<x/>'\n"
        "assert image.getexif()[0x010F] == 'Maker'\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with Image.open(saved) as image:
        before = dict(image.info)
        image.convert("RGB").save(tmp_path / "photo.jpg", exif=image.getexif())
        assert image.info == before
    with Image.open(tmp_path / "photo.jpg") as again:
        assert again.getexif()[0x010F] == "Maker"


def test_an_orientation_in_the_file_is_ignored(saved: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = unpack(saved.read_bytes())
    chunks = tuple(chunk for chunk in file.chunks if chunk.kind != EXIF)
    turned = Chunk(EXIF, exif.tobytes().removeprefix(b"Exif\0\0"))
    with Image.open(BytesIO(pack(Container(file.header, (*chunks, turned), file.tiles)))) as image:
        assert image.getexif()[0x0112] == 1


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_files_longer_than_their_pixels(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "small.cae"
    Image.new("RGBA", (16, 16), (200, 100, 50, 250)).convert(mode).save(path, xmp=bytes(3000))
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), np.asarray(cae.decode(path.read_bytes())))
        image.putpixel((1, 2), image.getpixel((3, 4)))


def test_pickled_and_copied(saved: Path) -> None:
    expected = np.asarray(Image.open(saved))
    for again in (pickle.loads(pickle.dumps(Image.open(saved))), copy.deepcopy(Image.open(saved))):
        assert again.getpixel((0, 0)) == tuple(expected[0, 0])
        assert np.array_equal(np.asarray(again), expected)
        assert again.getexif()[0x010F] == "Maker"


def test_colours_of_transparent_pixels(photo: np.ndarray) -> None:
    alpha = np.zeros(photo.shape[:2], np.uint8)
    alpha[:, :100] = 255
    noise = np.random.default_rng(0).integers(0, 256, photo.shape, np.uint8)
    image = Image.fromarray(np.dstack([np.where(alpha[..., None] > 0, photo, noise), alpha]))
    sizes = {}
    for exact in (False, True):
        file = BytesIO()
        image.save(file, "CAE", exact=exact)
        assert file.getvalue() == cae.encode(image, exact=exact)
        sizes[exact] = file.tell()
    assert sizes[True] > 1.5 * sizes[False]
    assert cae.encode(image) == cae.encode(image, exact=False)


def test_damaged_files(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(BytesIO(data[:100]))
    data[-9] ^= 1
    with pytest.raises(OSError, match=r"cannot identify|checksum"):
        Image.open(BytesIO(data)).load()


@pytest.mark.parametrize("nothing", [None, b""])
def test_metadata_is_left_out_where_that_is_asked_for(saved: Path, tmp_path: Path, nothing: bytes | None) -> None:
    with Image.open(saved) as image:
        image.save(tmp_path / "bare.cae", exif=nothing, icc_profile=nothing, xmp=nothing)
        image.save(tmp_path / "kept.cae")
    with Image.open(tmp_path / "bare.cae") as bare, Image.open(tmp_path / "kept.cae") as kept:
        assert not {"exif", "icc_profile", "xmp"} & set(bare.info)
        assert {"exif", "icc_profile", "xmp"} <= set(kept.info)
