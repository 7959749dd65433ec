"""The public face of the package."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import cae
import cae.bitstream.errors
from cae import bitstream, errors
from cae.bitstream.container import pack, unpack

Bytes = npt.NDArray[np.uint8]


def test_names() -> None:
    assert cae.__all__ == ["CaeError", "Codec", "Info", "__version__", "decode", "encode", "errors", "info", "latents"]
    for name in cae.__all__:
        assert getattr(cae, name) is not None
    assert cae.__version__ == version("cae-codec")
    assert cae.CaeError is errors.CaeError
    assert cae.errors is errors
    with pytest.raises(AttributeError, match="no attribute 'recode'"):
        cae.recode  # noqa: B018


def test_all_errors_are_public() -> None:
    found = {name for name, value in vars(bitstream.errors).items() if isinstance(value, type)}
    assert found == set(errors.__all__)
    assert all(getattr(errors, name) is getattr(bitstream.errors, name) for name in found)


def test_importing_it_is_cheap() -> None:
    code = "import sys, cae\nassert not {'torch', 'numpy', 'PIL', 'click'} & set(sys.modules)"
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


class TestCodec:
    """The same for many pictures."""

    def test_each_is_as_alone(self, photo: Bytes, photo_png: Path) -> None:
        codec = cae.Codec("cpu")
        clear = np.dstack([photo, np.where(photo[..., :1] < 99, 0, 255)]).astype(np.uint8)
        images = [photo, photo_png, Image.fromarray(photo[:64, :64]), photo[20:84, 30:94], clear]
        files = codec.encode_many(images, 40, effort=1)
        assert files == [codec.encode(image, 40, effort=1) for image in images]
        assert files == [cae.encode(image, 40, effort=1, device="cpu") for image in images]
        assert codec.encode_many(images, effort=1, exact=True)[4] == codec.encode(clear, effort=1, exact=True)
        for options in ({}, {"scale": 4}, {"region": (3, 4, 50, 60)}):
            decoded = codec.decode_many(files, **options)
            assert decoded == [codec.decode(data, **options) for data in files]
            assert decoded == [cae.decode(data, **options) for data in files]

    def test_none(self) -> None:
        assert cae.Codec().encode_many([]) == []
        assert cae.Codec().decode_many([]) == []

    def test_targets(self, photo: Bytes) -> None:
        codec = cae.Codec("cpu")
        assert codec.encode(photo, target_size=3000, effort=1) == cae.encode(photo, target_size=3000, effort=1)
        assert codec.encode(photo, target_psnr=30, effort=1) == cae.encode(photo, target_psnr=30, effort=1)
        with pytest.raises(errors.InputError, match="not both"):
            codec.encode(photo, target_size=3000, target_psnr=30)

    def test_errors(self, photo: Bytes, tmp_path: Path) -> None:
        with pytest.raises(errors.InputError, match="abacus"):
            cae.Codec("abacus")
        codec = cae.Codec("cpu", max_pixels=100 * 100)
        with pytest.raises(errors.ImageSizeError):
            codec.encode_many([photo[:50, :50], photo])
        with pytest.raises(errors.ImageError, match=r"missing\.png: No such file"):
            codec.encode_many([photo[:50, :50], tmp_path / "missing.png"])
        good = cae.encode(photo, effort=1)
        with pytest.raises(errors.LimitError):
            codec.decode_many([good])
        with pytest.raises(errors.TruncatedError):
            cae.Codec("cpu").decode_many([good, good[:-1]])
        with pytest.raises(errors.WrongWeightsError):
            cae.Codec("cpu").decode_many(
                [good, pack(replace(unpack(good), header=replace(unpack(good).header, fingerprint=b"none")))]
            )

    def test_damage_is_a_warning_where_it_was_called(self, photo: Bytes) -> None:
        pixels = np.tile(photo, (1, 6, 1))
        good = unpack(cae.encode(pixels, effort=1))
        tile = replace(good.tiles[1], latents_checksum=good.tiles[1].latents_checksum ^ 1)
        data = pack(replace(good, tiles=(good.tiles[0], tile)))
        for decode in (cae.decode, cae.Codec("cpu").decode):
            with pytest.warns(UserWarning, match="tile 2 of 2 is damaged") as caught:
                decode(data, allow_damaged=True)
            assert caught[0].filename == __file__


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
