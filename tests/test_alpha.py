"""Alpha planes: both forms exact, the smaller one taken, damage and other sizes refused, on every way to decode."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFilter

from cae.bitstream.alpha import compress_plane as deflated
from cae.bitstream.alpha import pack_streams
from cae.bitstream.container import ALPHA, ALPHA_STREAMS, Chunk, pack, unpack
from cae.bitstream.errors import BitstreamError, CorruptError, InputError, LimitError
from cae.bitstream.limits import MAX_PIXELS
from cae.codec.image import alpha, webp
from cae.codec.image.picture import Picture
from cae.codec.info import info
from cae.codec.torch_codec import Codec, load_codec

Plane = npt.NDArray[np.uint8]
RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("cpu")


def shadow(side: int = 200) -> Plane:
    image = Image.new("L", (side, side), 0)
    ImageDraw.Draw(image).ellipse((side // 5, side // 5, 4 * side // 5, 4 * side // 5), fill=255)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(8)))


PLANES = {
    "one": np.full((1, 1), 7, np.uint8),
    "row": RNG.integers(0, 256, (1, 90), np.uint8),
    "column": RNG.integers(0, 256, (90, 1), np.uint8),
    "noise": RNG.integers(0, 256, (60, 70), np.uint8),
    "opaque": np.full((256, 256), 255, np.uint8),
    "shadow": shadow(),
    "mask": np.uint8(255 * (shadow() > 99)),
}


@pytest.mark.parametrize("effort", [1, 2, 9])
@pytest.mark.parametrize("plane", PLANES.values(), ids=PLANES)
def test_planes_are_exact_and_the_smaller_form_is_taken(plane: Plane, effort: int) -> None:
    chunk = alpha.to_chunk(plane, effort)
    assert np.array_equal(alpha.from_chunk(chunk, *plane.shape), plane)
    assert np.array_equal(alpha.from_chunk(Chunk(ALPHA, deflated(plane)), *plane.shape), plane)
    assert len(chunk.data) <= len(deflated(plane))


def test_either_form_is_taken_somewhere() -> None:
    assert alpha.to_chunk(PLANES["one"], 2).kind == ALPHA
    assert alpha.to_chunk(PLANES["shadow"], 2).kind == ALPHA_STREAMS
    assert len(alpha.to_chunk(PLANES["shadow"], 2).data) < 0.95 * len(deflated(PLANES["shadow"]))
    assert len(alpha.to_chunk(PLANES["opaque"], 2).data) < 60


def test_every_way_to_decode_has_the_plane(codec: Codec, photo: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several tiles, and of several areas with a stream of their own."""
    monkeypatch.setattr("cae.codec.codec.DEFAULT_TILE", 1)
    monkeypatch.setattr("cae.bitstream.patches.AREA", 80)
    plane = np.ascontiguousarray(shadow()[:64, :128])
    data = codec.encode(Picture(photo[:64, :128], plane), 40, effort=1)
    (chunk,) = unpack(data).chunks
    assert chunk.kind == ALPHA_STREAMS
    assert info(data).mode == "RGBA"
    assert info(data).chunk_bytes == {"alpha": len(chunk.data)}

    def found(**options: object) -> Plane:
        picture = codec.decode(data, **options)  # type: ignore[arg-type]
        assert picture.alpha is not None
        return picture.alpha

    assert np.array_equal(found(), plane)
    assert np.array_equal(found(allow_damaged=True), plane)
    assert np.array_equal(found(region=(70, 20, 50, 40)), plane[20:60, 70:120])
    halved = plane.reshape(32, 2, 64, 2).mean(axis=(1, 3))
    assert np.abs(found(scale=2) - halved).max() <= 0.5
    many = codec.decode_many([data, data])
    assert all(picture.alpha is not None and np.array_equal(picture.alpha, plane) for picture in many)


def test_a_damaged_plane_is_left_out_where_that_is_allowed(codec: Codec, photo: Plane) -> None:
    file = unpack(codec.encode(Picture(photo, np.ascontiguousarray(shadow()[:120])), 40, effort=1))
    (chunk,) = file.chunks
    data = chunk.data
    for wrong in (b"", data[:-1], data + b"\0", data[:2] + b"\x30" + data[3:], pack_streams([data[2:40]])):
        bad = pack(replace(file, chunks=(Chunk(ALPHA_STREAMS, wrong),)))
        with pytest.raises(BitstreamError):
            codec.decode(bad)
        picture = codec.decode(bad, allow_damaged=True)
        assert picture.alpha is None
        assert picture.notes == ("chunks of metadata or alpha that are damaged and left out: 1",)


def test_two_planes_are_refused(codec: Codec, photo: Plane) -> None:
    file = unpack(codec.encode(Picture(photo), 40, effort=1))
    both = Chunk(ALPHA, b""), Chunk(ALPHA_STREAMS, b"")
    with pytest.raises(InputError, match="two alpha planes"):
        pack(replace(file, chunks=both))


def test_another_size_is_refused_before_anything_is_decoded(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes may stand for 16384 x 16384 pixels."""
    bomb = b"\x2f" + ((2**14 - 1) * (1 + 2**14)).to_bytes(4, "little") + bytes(40)
    monkeypatch.setattr(Image, "open", None)
    for size in ((64, 64), (4096, 4096), (1, 16384)):
        with pytest.raises(CorruptError, match="another size"):
            webp.decompress_plane(bomb, *size)
    chunk = Chunk(ALPHA_STREAMS, pack_streams([bomb]))
    file = unpack(codec.encode(Picture(np.zeros((64, 64), np.uint8)), 40))
    data = pack(replace(file, chunks=(chunk,)))
    with pytest.raises(CorruptError, match="another size"):
        codec.decode(data)
    with pytest.raises(LimitError):
        codec.decode(data, max_pixels=4095)
    with pytest.raises(BitstreamError):  # whose streams would be many
        alpha.from_chunk(chunk, 2**10, MAX_PIXELS // 2**10)


def test_any_stream_decodes_or_raises() -> None:
    plane = np.ascontiguousarray(shadow(60)[:40])
    data = pack_streams([webp.compress_plane(plane, 4, 75)])
    for _ in range(1000):
        changed = bytearray(data)
        for _ in range(int(RNG.integers(1, 4))):
            changed[int(RNG.integers(len(data)))] = int(RNG.integers(256))
        try:
            found = alpha.from_chunk(Chunk(ALPHA_STREAMS, bytes(changed)), 40, 60)
        except BitstreamError:
            continue
        assert found.shape == (40, 60)
        assert found.dtype == np.uint8
