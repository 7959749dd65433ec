"""Latents as data: what `cae.latents` gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import numpy.typing as npt
import pytest

import cae as api
from cae import errors
from cae.bitstream.container import pack, unpack
from cae.codec.encode.choice import Choice
from cae.codec.encode.mixed import with_patches
from cae.codec.image.picture import Picture
from cae.codec.select import load_on_cpu
from cae.codec.torch_codec import load_codec

Bytes = npt.NDArray[np.uint8]
Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def coded(photo: Bytes) -> bytes:
    """The photograph of 200x120 pixels at quality 60."""
    return api.encode(photo, 60, effort=1, patches="off", device="cpu")


class TestLatents:
    """`cae.latents`."""

    def test_one_position_is_16_pixels(self, coded: bytes, photo: Bytes, tmp_path: Path) -> None:
        channels = load_on_cpu().coder.channels
        latents = api.latents(coded)
        assert (latents.dtype, latents.shape) == (np.float32, (8, 13, channels))
        (tmp_path / "photo.cae").write_bytes(coded)
        assert np.array_equal(api.latents(tmp_path / "photo.cae"), latents)
        one = api.encode(photo[:1, :1], effort=1, patches="off")
        assert api.latents(one).shape == (1, 1, channels)

    def test_the_unit_is_that_of_the_encoder(self, photo: Bytes) -> None:
        """Latents as they are before they are quantised, so that qualities differ by what quantising loses alone."""
        codec = load_on_cpu()
        padded = np.pad(photo, ((0, 8), (0, 56), (0, 0)), mode="edge")
        exact = codec.coder.networks.analyse_linear(padded[None])[0, :8, :13]
        files = [codec.encode(Picture(photo), quality, effort=1) for quality in (95, 20)]
        best, low = codec.latents_many(files)
        scale = np.abs(exact[..., 0]).mean()
        assert np.abs(best[..., 0] - exact[..., 0]).mean() < 0.05 * scale
        assert np.abs(low[..., 0] - exact[..., 0]).mean() < 0.2 * scale
        # To the last bit: sixteenths of a step over the steps to a standard deviation.
        file = unpack(files[1])
        steps = codec.coder.networks.sigma_in_steps[file.header.rate_index]
        whole = codec.decode_latents(file)
        assert np.array_equal(low, (whole[:8, :13] / (16 * steps.astype(float))).astype(np.float32))

    def test_all_back_ends_agree(self, coded: bytes) -> None:
        latents = api.latents(coded, device="cpu")
        for codec in (load_on_cpu(level="numpy"), load_codec("cpu")):
            assert np.array_equal(codec.latents_many([coded])[0], latents)

    def test_many_are_each_as_alone(self, photo: Bytes) -> None:
        codec = api.Codec("cpu")
        pictures = [photo[:64, :64], photo[50:114, 90:154], photo[:64, :70], photo[:64, :64, 0]]
        files = codec.encode_many(pictures, 50, effort=1, patches="off")
        for data, own in zip(files, codec.latents_many(files), strict=True):
            assert np.array_equal(own, codec.latents(data))

    def test_tiles(self, photo: Bytes) -> None:
        pixels = np.tile(photo[:40], (1, 6, 1))
        data = api.encode(pixels, 40, effort=1, patches="off")
        assert len(unpack(data).tiles) == 2
        assert api.latents(data).shape[:2] == (3, 75)

    def test_grey(self, photo: Bytes) -> None:
        grey = api.encode(photo[..., 1], 50, effort=1, patches="off")
        assert api.latents(grey).shape[:2] == (8, 13)
        as_rgb = api.encode(np.repeat(photo[..., 1:2], 3, axis=2), 50, effort=1, patches="off")
        assert np.array_equal(api.latents(grey), api.latents(as_rgb))

    def test_patches_are_not_in_them(self, coded: bytes, photo: Bytes) -> None:
        assert not api.latents(api.encode(photo, patches="all")).any()
        codec = load_on_cpu()
        header = replace(unpack(coded).header, height=120, width=200)
        cells = np.zeros((4, 7), bool)  # of 32 pixels; the networks leave out what is in patches 64 by 64
        cells[:2, :2] = True
        data = pack(with_patches(codec.coder, photo, header, Choice(cells, photo, 0), effort=1))
        skipped = np.zeros((8, 13), bool)
        skipped[:4, :4] = True
        latents = api.latents(data)
        assert not latents[skipped].any()
        assert latents[~skipped].any(axis=1).all()
        assert np.array_equal(api.Codec().latents_many([data, data])[1], latents)

    def test_errors_are_those_of_decode(self, coded: bytes, tmp_path: Path) -> None:
        file = unpack(coded)
        wrong = replace(file.tiles[0], latents_checksum=file.tiles[0].latents_checksum ^ 1)
        foreign = replace(file, header=replace(file.header, fingerprint=b"none"))
        for data in (b"", coded[:-1], b"\x89PNG", pack(replace(file, tiles=(wrong,))), pack(foreign), tmp_path / "no"):
            with pytest.raises(errors.CaeError) as expected:
                api.decode(data)
            with pytest.raises(type(expected.value), match=r".") as found:
                api.latents(data)
            assert str(found.value) == str(expected.value)
        with pytest.raises(errors.LimitError):
            api.latents(coded, max_pixels=200 * 120 - 1)
        with pytest.raises(errors.InputError, match="abacus"):
            api.latents(coded, device="abacus")
