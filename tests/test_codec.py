"""The codec with the installed weights: sizes, modes, tiles, metadata, rates, bad files."""

from __future__ import annotations

import base64
import hashlib
import json
import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from cae.bitstream.container import Container, Tile, pack, unpack
from cae.bitstream.errors import CaeError, DecodeMismatchError, InputError, WrongWeightsError
from cae.bitstream.header import Header
from cae.bitstream.rectangle import Rectangle
from cae.codec.decode import synthesis_windows
from cae.codec.encode.analysis_windows import analyse
from cae.codec.image.exif import EXIF_PREFIX
from cae.codec.image.metadata import Metadata
from cae.codec.image.picture import Picture, read_picture
from cae.codec.model.distortion import psnr
from cae.codec.model.rate import rate_index_of
from cae.codec.torch_codec import Codec, load_codec

Bytes = npt.NDArray[np.uint8]
VECTORS = Path(__file__).parent / "vectors"
FILES = json.loads((VECTORS / "files.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("cpu")


def test_qualities_map_to_rising_rows() -> None:
    rows = [rate_index_of(quality) for quality in range(101)]
    assert rows[0] == 0
    assert rows[-1] == 255
    assert all(a < b for a, b in pairwise(rows))
    for quality in (-1, 100.5, float("nan")):
        with pytest.raises(InputError):
            rate_index_of(quality)


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (130, 1), (63, 65), (64, 64), (120, 200)])
def test_any_size(codec: Codec, photo: Bytes, size: tuple[int, int]) -> None:
    pixels = np.ascontiguousarray(np.resize(photo, (130, 200, 3))[: size[0], : size[1]])
    decoded = codec.decode(codec.encode(read_picture(pixels), 80))
    assert decoded.pixels.shape == pixels.shape
    assert decoded.pixels.dtype == np.uint8


def test_higher_quality_is_larger_and_better(codec: Codec, photo: Bytes) -> None:
    picture = read_picture(photo)
    sizes, values = [], []
    for quality in range(0, 101, 20):
        data = codec.encode(picture, quality)
        sizes.append(len(data))
        values.append(psnr(photo, codec.decode(data).pixels))
    assert sizes == sorted(set(sizes))
    assert values == sorted(set(values))
    assert values[-1] > 38


def test_beats_jpeg(codec: Codec, photo: Bytes) -> None:
    """A broken transform, prior or coder would not; the real comparison is benchmarks/rate.py."""
    from cae.codec.evaluation.codecs import make_codec
    from cae.codec.evaluation.curve import Point, bd_rate
    from cae.codec.evaluation.measure import rd_point

    points = []
    for quality in (20, 40, 60, 80):
        data = codec.encode(read_picture(photo), quality)
        points.append(Point(8 * len(data) / photo[..., 0].size, psnr(photo, codec.decode(data).pixels)))
    jpeg = make_codec("jpeg")
    assert bd_rate([rd_point(jpeg, photo, quality) for quality in range(10, 100, 10)], points) < -20


def test_the_same_image_gives_the_same_bytes(codec: Codec, photo: Bytes) -> None:
    assert codec.encode(read_picture(photo), 50) == codec.encode(read_picture(photo), 50)


def test_grey_stays_grey_and_costs_less(codec: Codec, photo: Bytes) -> None:
    grey = photo[..., 1].copy()
    data = codec.encode(read_picture(grey), 90)
    decoded = codec.decode(data).pixels
    assert decoded.shape == grey.shape
    assert psnr(grey, decoded) > 34
    assert len(data) < len(codec.encode(read_picture(photo), 90))


def test_alpha_and_metadata_are_kept(codec: Codec, photo: Bytes) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, photo.shape[:2], np.uint8)
    picture = Picture(photo, alpha, Metadata(b"profile", b"exif data", b"<x/>"))
    decoded = codec.decode(codec.encode(picture, 30))
    assert decoded.alpha is not None
    assert np.array_equal(decoded.alpha, alpha)
    assert decoded.metadata == picture.metadata


def test_an_orientation_in_the_file_is_ignored(codec: Codec, photo: Bytes) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    turned = Metadata(exif=exif.tobytes().removeprefix(EXIF_PREFIX))
    decoded = codec.decode(codec.encode(Picture(photo[:64, :64], metadata=turned), 0))
    kept = Image.Exif()
    assert decoded.metadata.exif is not None
    kept.load(decoded.metadata.exif)
    assert dict(kept) == {0x0112: 1, 0x010F: "Maker"}


def test_file_is_as_long_as_the_model_says(codec: Codec, photo: Bytes) -> None:
    for quality in (0, 50, 100):
        data = codec.encode(read_picture(photo), quality, effort=1)
        row = rate_index_of(quality)
        (steps,), latents = codec.coder.quantise(analyse(codec.coder.networks, [photo], row), row)
        estimate = sum(codec.coder.tables.cost_in_bits(*step) for step in steps) / 8
        assert estimate <= len(data) <= 1.01 * estimate + 40
        assert np.array_equal(latents[0], codec.decode_latents(unpack(data)))


def test_no_hyper_latent_is_beyond_the_coder(codec: Codec, photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """However unlikely the tables call it."""
    row = 0
    y = analyse(codec.coder.networks, [photo], row)
    z = codec.coder.networks.analyse_hyper(y, row)
    monkeypatch.setattr(codec.coder.networks, "analyse_hyper", lambda *_: z + 1000)
    data = codec.encode(read_picture(photo), row)
    assert codec.decode(data).pixels.shape == photo.shape


def test_tiles(codec: Codec, photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = read_picture(photo)
    whole = codec.decode(codec.encode(picture, 50)).pixels
    monkeypatch.setattr("cae.codec.codec.DEFAULT_TILE", 1)
    data = codec.encode(picture, 50)
    assert len(unpack(data).tiles) == 8
    tiled = codec.decode(data).pixels
    assert abs(psnr(photo, tiled) - psnr(photo, whole)) < 0.3


@pytest.mark.slow
def test_windows_show_no_seam(codec: Codec, photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the latents come: in one piece, in bands lower or higher than a window, analysed area by area."""
    pixels = np.tile(photo, (3, 2, 1))
    y = analyse(codec.coder.networks, [pixels], 128)
    latents = codec.coder.quantise(y, 128)[1][0]
    image = np.concatenate(list(synthesis_windows.synthesise(codec.coder, [latents], 128))).astype(int)
    assert image.shape == (384, 448, 3)
    monkeypatch.setattr("cae.codec.backends.batching.WINDOW", 7)
    assert np.array_equal(analyse(codec.coder.networks, [pixels], 128), y)
    area = Rectangle(8, 4, 16, 20)
    assert np.array_equal(analyse(codec.coder.networks, [pixels], 128, area), y[:, 8:24, 4:24])
    for height in (1, 4, 5, 8, 17, 23, 24):
        bands = np.split(latents, range(height, len(latents), height))
        parts = list(synthesis_windows.synthesise(codec.coder, bands, 128))
        assert np.array_equal(np.concatenate(parts), image)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case["name"])
def test_golden_files(codec: Codec, case: dict[str, str]) -> None:
    """Files made once with the shipped weights decode to the same latents and pixels for ever."""
    data = base64.b64decode(case["file"])
    latents = codec.decode_latents(unpack(data))
    assert hashlib.sha256(latents.tobytes()).hexdigest() == case["latents_sha256"]
    decoded = codec.decode(data)
    assert decoded.mode == case["mode"]
    pixels = np.frombuffer(base64.b64decode(case["pixels"]), np.uint8).reshape(decoded.pixels.shape)
    assert np.array_equal(decoded.pixels, pixels)
    alpha = b"" if decoded.alpha is None else decoded.alpha.tobytes()
    assert alpha == base64.b64decode(case["alpha"])


SCRIPT = runpy.run_path(str(VECTORS / "make_files.py"))


@pytest.mark.parametrize("case", range(len(SCRIPT["CASES"])))
def test_golden_encodings(codec: Codec, case: int) -> None:
    """The same pictures become the same tiles on every machine; a better encoder may make others, and new vectors."""
    script = SCRIPT
    _, shape, quality = script["CASES"][case]
    data = codec.encode(read_picture(script["pattern"](shape)), quality)
    assert unpack(data).tiles == unpack(base64.b64decode(FILES[case]["file"])).tiles


def test_other_weights_are_named(codec: Codec, photo: Bytes) -> None:
    container = unpack(codec.encode(read_picture(photo), 50))
    header = Header(photo.shape[1], photo.shape[0], False, 128, bytes(4))
    with pytest.raises(WrongWeightsError, match="00000000"):
        codec.decode(pack(Container(header, (), container.tiles)))


def test_a_wrong_decoding_is_noticed(codec: Codec, photo: Bytes) -> None:
    container = unpack(codec.encode(read_picture(photo), 50))
    tile = Tile(container.tiles[0].payload, container.tiles[0].latents_checksum ^ 1)
    with pytest.raises(DecodeMismatchError):
        codec.decode(pack(Container(container.header, (), (tile,))))


def test_any_payload_decodes_or_raises(codec: Codec) -> None:
    """Files that are well-formed but whose payload is nonsense: an error of ours, nothing else."""
    random = np.random.default_rng(5)
    for row in (0, 100, 255):
        header = Header(64, 64, False, row, codec.fingerprint)
        for length in (0, 1, 50, 3000):
            payload = random.integers(1, 256, length, np.uint8).tobytes()
            with pytest.raises(CaeError):
                codec.decode(pack(Container(header, (), (Tile(payload, 12345),))))


def test_unknown_devices_are_refused() -> None:
    with pytest.raises(InputError, match="abacus"):
        load_codec("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="CUDA"):
            load_codec("cuda")
    assert load_codec("cpu") is load_codec("cpu")
