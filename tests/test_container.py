"""Container and alpha plane: round trips, golden files, and any bytes either unpack or raise a CaeError."""

import contextlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cae.bitstream import errors
from cae.bitstream.alpha import compress_plane, decompress_plane
from cae.bitstream.container import Chunk, Container, Tile, latents_checksum, pack, unpack
from cae.bitstream.header import Header, latent_size, read_header, tile_grid, tile_rectangles
from cae.bitstream.limits import FREE_CELLS, MAX_PIXELS, MAX_SIDE
from cae.bitstream.rectangle import Rectangle
from cae.bitstream.wire import Reader, sealed, varint

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "container.json").read_text())
HEADER = Header(100, 70, False, 7, b"\x01\x02\x03\x04", 1)


def from_fields(fields: dict[str, Any]) -> Container:
    own = dict(fields["header"])
    header = Header(rate_index=own.pop("row"), fingerprint=bytes.fromhex(own.pop("fingerprint")), **own)
    chunks = tuple(Chunk(kind.encode("ascii"), bytes.fromhex(data)) for kind, data in fields["chunks"])
    tiles = tuple(Tile(bytes.fromhex(payload), checksum) for payload, checksum in fields["tiles"])
    return Container(header, chunks, tiles)


SAMPLE = from_fields(VECTORS["generate"][-1]["fields"])


def file_of(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["file"])


def least_payload(rectangle: Rectangle) -> int:
    """The fewest bytes that may stand for a tile."""
    return max(0, rectangle.height * rectangle.width // 16 - FREE_CELLS)


@st.composite
def containers(draw: st.DrawFn) -> Container:
    side = st.one_of(st.integers(1, 300), st.sampled_from([16383, 16384, 60000]))
    small = st.integers(1, 300)
    width, height = draw(st.one_of(st.tuples(side, small), st.tuples(small, side)))
    tile = draw(st.integers(1 if max(width, height) <= 300 else 30, 32))
    fingerprint = draw(st.binary(min_size=4, max_size=4))
    header = Header(width, height, draw(st.booleans()), draw(st.integers(0, 255)), fingerprint, tile)
    kinds = draw(st.lists(st.sampled_from([b"ALPH", b"iccp", b"exif", b"xmpp", b"zzzz", b"aBcD"]), unique=True))
    chunks = tuple(Chunk(kind, draw(st.binary(max_size=200))) for kind in kinds)
    rows, columns = tile_grid(header)
    tiles = tuple(
        Tile(draw(st.binary(min_size=size, max_size=size + 20)), draw(st.integers(0, 2**32 - 1)))
        for size in map(least_payload, tile_rectangles(header))
    )
    assert len(tiles) == rows * columns
    return Container(header, chunks, tiles)


@settings(max_examples=100, deadline=None)
@given(containers())
def test_round_trip(container: Container) -> None:
    data = pack(container)
    assert unpack(data) == container
    assert read_header(data) == container.header
    assert pack(unpack(data)) == data


@pytest.mark.parametrize("case", VECTORS["generate"], ids=lambda case: case["name"])
def test_generate(case: dict[str, Any]) -> None:
    container = from_fields(case["fields"])
    assert pack(container).hex() == case["file"]
    assert unpack(bytes.fromhex(case["file"])) == container


@pytest.mark.parametrize("case", VECTORS["verify"], ids=lambda case: case["name"])
def test_verify(case: dict[str, Any]) -> None:
    """Valid files that this encoder has no reason to write."""
    assert unpack(bytes.fromhex(case["file"])) == from_fields(case["fields"])


def test_cut_at_every_length() -> None:
    data = pack(SAMPLE)
    for size in range(1, len(data)):
        with pytest.raises((errors.TruncatedError, errors.CorruptError)):
            unpack(data[:size])
    with pytest.raises(errors.NotCaeError):
        unpack(b"")


def test_every_bit_flip() -> None:
    data = pack(SAMPLE)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(errors.BitstreamError):
            unpack(bytes(flipped))


@pytest.mark.parametrize("extra", [b"\0", b"\1", pack(SAMPLE)])
def test_bytes_after_the_end(extra: bytes) -> None:
    with pytest.raises(errors.CorruptError):
        unpack(pack(SAMPLE) + extra)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutations_unpack_or_raise(data: st.DataObject) -> None:
    mutated = bytearray(data.draw(st.sampled_from(VECTORS["generate"] + VECTORS["verify"]).map(file_of)))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(mutated)))
        stop = data.draw(st.integers(start, min(start + 6, len(mutated))))
        mutated[start:stop] = data.draw(st.binary(max_size=6))
    with contextlib.suppress(errors.BitstreamError):
        assert pack(unpack(bytes(mutated))) == bytes(mutated)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutations_below_the_checksum(data: st.DataObject) -> None:
    """The same with a matching checksum, so that the rules behind it are reached."""
    flags, tile = data.draw(st.tuples(st.integers(0, 5), st.integers(0, 3)))
    sides = data.draw(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 130), min_size=2, max_size=2))
    header = b"\x89cae\x01" + bytes((flags, 9, tile)) + b"1234" + b"".join(map(varint, sides))
    rest = b"".join(sealed(part) for part in data.draw(st.lists(st.binary(max_size=12), max_size=5)))
    with contextlib.suppress(errors.BitstreamError):
        assert pack(unpack(sealed(header) + rest)) == sealed(header) + rest


def test_overhead_of_a_plain_image() -> None:
    for side, payload, most in (
        (2048, 2**21, 32),
        (2048, 2**21 - 1, 31),
        (1024, 2**14 - 1, 30),
        (64, 100, 27),
    ):
        header = Header(side, side, False, 255, b"1234", 32)
        data = pack(Container(header, (), (Tile(bytes(payload), 2**32 - 1),)))
        assert len(data) - payload == most


def test_header_can_be_read_without_the_rest() -> None:
    data = pack(SAMPLE)
    sizes = [size for size in range(len(data)) if not fails(data[:size])]
    assert sizes == list(range(sizes[0], len(data)))
    assert sizes[0] <= 20


def fails(data: bytes) -> bool:
    try:
        return read_header(data) != SAMPLE.header
    except errors.BitstreamError:
        return True


def test_lengths_are_checked_before_anything_is_allocated() -> None:
    huge = Header(MAX_SIDE, MAX_PIXELS // MAX_SIDE, False, 0, b"1234", 1)
    rows, columns = tile_grid(huge)
    assert rows * columns == 2**18
    one_tile = Container(Header(1, 1, False, 0, b"1234"), (), (Tile(b"", 0),))
    with pytest.raises(errors.TruncatedError, match="no room"):
        unpack(header_of(huge) + pack(one_tile))


def header_of(header: Header) -> bytes:
    fixed = b"\x89cae\x01" + bytes((header.grey, header.rate_index, header.tile)) + header.fingerprint
    return sealed(fixed + varint(header.width) + varint(header.height))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 32))
def test_tiles_partition_the_latents(width: int, height: int, tile: int) -> None:
    header = Header(width, height, False, 0, b"1234", tile)
    rows, columns = tile_grid(header)
    rectangles = tile_rectangles(header)
    assert len(rectangles) == rows * columns
    covered = np.zeros(latent_size(header), np.uint8)
    assert covered.shape == (-(-height // 64) * 4, -(-width // 64) * 4)
    for rectangle in rectangles:
        assert all(value % 4 == 0 for value in rectangle)
        assert 0 < rectangle.height <= 4 * tile
        assert 0 < rectangle.width <= 4 * tile
        part = (
            slice(rectangle.top, rectangle.top + rectangle.height),
            slice(rectangle.left, rectangle.left + rectangle.width),
        )
        covered[part] += 1
    assert covered.min() == covered.max() == 1
    assert rectangles == sorted(rectangles)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": -1},
        {"width": MAX_SIDE + 1},
        {"width": MAX_SIDE, "height": MAX_PIXELS // MAX_SIDE + 1},
        {"rate_index": 256},
        {"tile": 0},
        {"tile": 256},
        {"fingerprint": b"123"},
    ],
)
def test_pack_rejects_header(change: dict[str, Any]) -> None:
    header = Header(**{**vars(Header(1, 1, False, 0, b"1234")), **change})
    with pytest.raises(errors.InputError):
        pack(Container(header, (), (Tile(b"", 0),)))


def test_pack_rejects_chunks_and_tiles() -> None:
    header, tile = Header(1, 1, False, 0, b"1234"), Tile(b"", 0)
    for chunks in (
        (Chunk(b"iccp", b""),) * 2,
        (Chunk(b"icc", b""),),
        (Chunk(b"ic1p", b""),),
        (Chunk(b"ABCD", b""),),
        (Chunk(b"abcd", b""),) * 65,
    ):
        with pytest.raises(errors.InputError):
            pack(Container(header, chunks, (tile,)))
    for tiles in ((), (tile, tile), (Tile(b"", -1),), (Tile(b"", 2**32),)):
        with pytest.raises(errors.InputError):
            pack(Container(header, (), tiles))


def test_latents_checksum() -> None:
    latents = np.arange(-12, 12, dtype=np.int32).reshape(2, 3, 4)
    by_hand = b"".join(int(value).to_bytes(4, "little", signed=True) for value in latents.ravel())
    assert latents_checksum(latents) == zlib.crc32(by_hand)
    strided = np.ascontiguousarray(latents.transpose(1, 2, 0)).transpose(2, 0, 1)
    assert latents_checksum(strided) == zlib.crc32(by_hand)
    cases: list[NDArray[Any]] = [latents.astype(np.int64), latents[0]]
    for wrong in cases:
        with pytest.raises(errors.InputError):
            latents_checksum(wrong)


@given(st.integers(0, 2**32 - 1))
def test_varint(value: int) -> None:
    data = varint(value)
    assert len(data) == max(1, -(-value.bit_length() // 7))
    reader = Reader(data)
    assert reader.varint() == value
    assert reader.left == 0


@pytest.mark.parametrize("data", ["8000", "ff00", "80808000", "ffffffff1f", "ffffffff8f00", "808080808001"])
def test_varint_rejects(data: str) -> None:
    with pytest.raises(errors.CorruptError):
        Reader(bytes.fromhex(data)).varint()


planes = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1), st.integers(1, 256))


@settings(max_examples=100, deadline=None)
@given(planes)
def test_plane_round_trip(case: tuple[int, int, int, int]) -> None:
    height, width, seed, levels = case
    rng = np.random.default_rng(seed)
    plane = rng.integers(0, levels, (height, width)).astype(np.uint8)
    plane[rng.random(height) < 0.3] = plane[0]
    plane = np.cumsum(plane, axis=int(rng.integers(2)), dtype=np.uint8)
    back = decompress_plane(compress_plane(plane), height, width)
    assert back.dtype == np.uint8
    assert np.array_equal(back, plane)


def test_plane_filters_are_used_and_pay() -> None:
    y, x = np.mgrid[:64, :64]
    for plane, kind in ((0 * x + 0, 0), (x + 40 * (y % 3), 1), (y + 40 * (x % 3), 2)):
        data = compress_plane(plane.astype(np.uint8))
        rows = np.frombuffer(zlib.decompress(data, -15), np.uint8).reshape(64, 65)
        assert np.all(rows[1:, 0] == kind)
        assert np.array_equal(decompress_plane(data, 64, 64), plane)
        assert len(data) < 200


def deflate(data: bytes) -> bytes:
    coder = zlib.compressobj(9, zlib.DEFLATED, -15)
    return coder.compress(data) + coder.flush()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        deflate(bytes(5)),
        deflate(bytes(7)),
        deflate(bytes(6))[:-1],
        deflate(bytes(6)) + b"\0",
        deflate(bytes(6)) * 2,
        deflate(b"\3" + bytes(5)),
        deflate(bytes(10**7)),
        zlib.compress(bytes(6)),
    ],
    ids=["empty", "garbage", "short", "long", "cut", "trailing", "twice", "filter", "bomb", "wrapper"],
)
def test_plane_rejects(data: bytes) -> None:
    with pytest.raises(errors.CorruptError):
        decompress_plane(data, 2, 2)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_plane_or_corrupt(data: bytes) -> None:
    with contextlib.suppress(errors.CorruptError):
        assert decompress_plane(data, 2, 3).shape == (2, 3)


def test_plane_rejects_calls() -> None:
    cases: list[NDArray[Any]] = [np.zeros((2, 2)), np.zeros(4, np.uint8), np.zeros((0, 4), np.uint8)]
    for wrong in cases:
        with pytest.raises(errors.InputError):
            compress_plane(wrong)
    with pytest.raises(errors.InputError):
        decompress_plane(b"", 0, 4)


@pytest.mark.parametrize("case", VECTORS["planes"], ids=lambda case: case["name"])
def test_golden_planes(case: dict[str, Any]) -> None:
    """Decoding only: another zlib may write other bytes for the same plane."""
    plane = np.array(case["plane"], np.uint8)
    assert np.array_equal(decompress_plane(bytes.fromhex(case["data"]), *plane.shape), plane)
