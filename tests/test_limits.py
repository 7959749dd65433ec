"""What is refused before it costs anything, and what is left of damaged files."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

import cae
from cae.bitstream.container import Chunk, Container, Tile, pack, unpack
from cae.bitstream.errors import (
    BitstreamError,
    CorruptError,
    ImageSizeError,
    LimitError,
    MemoryLimitError,
    UnknownChunkError,
)
from cae.bitstream.header import Header
from cae.bitstream.limits import DEFAULT_MAX_PIXELS, FREE_CELLS
from cae.bitstream.salvage import salvage
from cae.bitstream.wire import sealed, varint
from cae.codec.image.metadata import Metadata
from cae.codec.image.picture import Picture, read_picture
from cae.codec.torch_codec import Codec, load_codec

Bytes = npt.NDArray[np.uint8]
Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("cpu")


@pytest.fixture
def tiled(codec: Codec, photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The photograph, 200x120, in 4 x 2 tiles of 64x64, with an alpha plane and metadata."""
    monkeypatch.setattr("cae.codec.codec.DEFAULT_TILE", 1)
    return codec.encode(Picture(photo, photo[..., 0].copy(), Metadata(b"profile", b"exif", b"xmp")), 60)


def header_of(width: int, height: int, fingerprint: bytes, tile: int = 32) -> bytes:
    return sealed(b"\x89cae\x01" + bytes((0, 128, tile)) + fingerprint + varint(width) + varint(height))


def test_pixels_are_limited_before_anything_is_allocated(codec: Codec) -> None:
    tile = sealed(varint(2000) + bytes(4) + bytes([1]) * 2000)
    data = header_of(2**15, 2**15, codec.fingerprint) + 256 * tile
    small = codec.encode(read_picture(np.zeros((9, 7), np.uint8)), 50)
    codec.decode(small)  # layers are made when they are first needed
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match=f"32768 x 32768 pixels, at most {DEFAULT_MAX_PIXELS:,}"):
            codec.decode(data)
        with pytest.raises(CorruptError):  # now it is the payload of the first tile
            codec.decode(header_of(64, 64, codec.fingerprint) + tile, max_pixels=4096)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert codec.decode(small, max_pixels=63).width == 7
    with pytest.raises(LimitError, match="at most 62"):
        codec.decode(small, max_pixels=62)


@pytest.mark.parametrize("allow_damaged", [False, True])
def test_a_payload_stands_for_so_many_pixels_and_no_more(codec: Codec, allow_damaged: bool) -> None:
    for length in (0, 1, 14):
        record = sealed(varint(length) + bytes(4) + bytes([1]) * length)
        with pytest.raises(LimitError, match="too few for a tile"):
            codec.decode(
                header_of(64 * (FREE_CELLS + length + 1), 64, codec.fingerprint) + record, allow_damaged=allow_damaged
            )
        unpack(header_of(64 * (FREE_CELLS + length), 64, codec.fingerprint) + record)


@pytest.mark.slow
def test_flat_images_take_smaller_tiles_where_they_must(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.full((300, 600, 3), 255, np.uint8)
    assert unpack(codec.encode(read_picture(pixels), 0)).header.tile == 16
    monkeypatch.setattr("cae.codec.codec.is_enough", lambda length, rectangle: rectangle.width <= 16)
    data = codec.encode(read_picture(pixels), 0)
    assert unpack(data).header.tile == 4
    assert np.abs(codec.decode(data).pixels.astype(int) - pixels).mean() < 4


def test_limits_of_the_command(cae: Run, photo_png: Path, tmp_path: Path) -> None:
    coded, out = tmp_path / "a.cae", tmp_path / "b.png"
    run = cae("encode", photo_png, coded, "--max-pixels", 23_999)
    assert (run.returncode, run.stdout) == (7, "")
    assert run.stderr == f"cae: {photo_png}: 200 x 120 pixels, at most 23,999 are accepted\n"
    assert cae("encode", photo_png, coded, "--max-pixels", 24_000).returncode == 0
    run = cae("decode", coded, out, "--max-pixels", 23_999)
    assert (run.returncode, run.stdout) == (7, "")
    assert run.stderr == f"cae: {coded}: 200 x 120 pixels, at most 23,999 are accepted\n"
    assert sorted(tmp_path.iterdir()) == [coded, photo_png]
    assert cae("decode", coded, out, "--max-pixels", 24_000).returncode == 0


def test_limits_of_the_api(photo: Bytes) -> None:
    with pytest.raises(ImageSizeError):
        cae.encode(photo, max_pixels=23_999)
    with pytest.raises(LimitError):
        cae.decode(cae.encode(photo, device="cpu"), max_pixels=23_999)


# Too little memory.


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_lack_of_memory_is_an_error_of_ours(
    codec: Codec, photo: Bytes, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    data = codec.encode(read_picture(photo), 50)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(codec.coder.networks, "run_context_steps", fail)
    for call in (lambda: codec.encode(read_picture(photo), 50), lambda: codec.decode(data)):
        with pytest.raises(MemoryLimitError, match="memory"):
            call()


@pytest.mark.slow
def test_real_lack_of_memory(tmp_path: Path) -> None:
    """The system refuses what torch asks for."""
    code = (
        "import resource, sys, numpy as np, torch, cae\n"
        "torch.set_num_threads(1)\n"
        "image = np.zeros((64, 64, 3), np.uint8)\n"
        "cae.encode(image, device='cpu')\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + 2**26, -1))\n"
        "try:\n    cae.encode(np.zeros((2048, 2048, 3), np.uint8), device='cpu')\n"
        "except cae.CaeError as error:\n    print(type(error).__name__)\n"
    )
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc")
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout == "MemoryLimitError\n", run.stderr[-500:]


# Damaged files.


def damage(data: bytes, payload: bytes) -> bytes:
    """The file with one bit of this payload changed."""
    at = data.index(payload) + len(payload) // 2
    return data[:at] + bytes([data[at] ^ 8]) + data[at + 1 :]


def test_intact_tiles_are_decoded(codec: Codec, tiled: bytes) -> None:
    tiles = unpack(tiled).tiles
    assert len(tiles) == 8
    whole = codec.decode(tiled).pixels.astype(int)
    bad = damage(damage(tiled, tiles[2].payload), tiles[7].payload)
    with pytest.raises(CorruptError):
        codec.decode(bad)
    picture = codec.decode(bad, allow_damaged=True)
    assert picture.notes == (
        "tile 3 of 8 is damaged: rows 0 to 63, columns 128 to 191 are grey",
        "tile 8 of 8 is damaged: rows 64 to 119, columns 192 to 199 are grey",
    )
    assert picture.metadata == Metadata(b"profile", b"exif", b"xmp")
    assert picture.alpha is not None
    pixels = picture.pixels.astype(int)
    assert (pixels[:64, 128:192] == 128).all()
    assert (pixels[64:, 192:] == 128).all()
    assert np.array_equal(pixels[:, :64], whole[:, :64])  # out of reach of the damage
    near = np.abs(pixels[64:, :192] - whole[64:, :192])
    assert near.mean() < 8  # the neighbours' borders miss what came from the lost tiles
    intact = codec.decode(tiled, allow_damaged=True)
    assert intact.notes == ()
    assert np.array_equal(intact.pixels, whole)


def test_a_tile_that_decodes_to_something_else_is_damaged(codec: Codec, tiled: bytes) -> None:
    container = unpack(tiled)
    for wrong in (
        dataclasses.replace(container.tiles[1], latents_checksum=container.tiles[1].latents_checksum ^ 1),
        Tile(b"nonsense", 5),
    ):
        tiles = (container.tiles[0], wrong, *container.tiles[2:])
        data = pack(dataclasses.replace(container, tiles=tiles))
        with pytest.raises(BitstreamError):
            codec.decode(data)
        assert len(codec.decode(data, allow_damaged=True).notes) == 1


def test_cut_files_give_what_came_before(codec: Codec, tiled: bytes) -> None:
    last = unpack(tiled).tiles[-1].payload
    picture = codec.decode(tiled[: -4 - len(last) - 3], allow_damaged=True)
    assert [note[:6] for note in picture.notes] == ["tile 8"]
    assert codec.decode(tiled + b"more", allow_damaged=True).notes == ()


def test_lost_tiles_take_no_synthesis(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged file may claim any size: what is intact is worked on."""
    (tile,) = unpack(codec.encode(read_picture(np.zeros((64, 64), np.uint8)), 50)).tiles
    record = sealed(varint(len(tile.payload)) + tile.latents_checksum.to_bytes(4, "little") + tile.payload)
    windows = []
    networks = codec.coder.networks
    synthesise = networks.synthesise
    monkeypatch.setattr(networks, "synthesise", lambda *args: windows.append(args) or synthesise(*args))
    picture = codec.decode(header_of(5000, 4000, codec.fingerprint, 1) + record, allow_damaged=True)
    assert len(windows) == 1
    assert picture.notes == ("tiles 2 to 4977 of 4977 are damaged and grey",)
    assert picture.pixels[:16, :16].max() < 64
    assert (picture.pixels[64:] == 128).all()
    assert (picture.pixels[:, 64:] == 128).all()


@pytest.mark.slow
def test_parts_of_a_damaged_image(codec: Codec, photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cae.codec.codec.DEFAULT_TILE", 1)
    data = codec.encode(read_picture(np.tile(photo, (3, 2, 1))[:320, :320]), 60, effort=1)
    tiles = unpack(data).tiles
    for lost, (x, y, width, height) in (({0, 1, 5, 6}, (270, 270, 50, 50)), ({12, 13, 18}, (200, 200, 90, 100))):
        bad = data
        for tile in lost:
            bad = damage(bad, tiles[tile].payload)
        whole = codec.decode(bad, allow_damaged=True).pixels.astype(int)
        part = codec.decode(bad, allow_damaged=True, region=(x, y, width, height)).pixels.astype(int)
        assert np.array_equal(part, whole[y : y + height, x : x + width])


def test_where_nothing_is_intact_the_error_stands(codec: Codec, tiled: bytes) -> None:
    first = unpack(tiled).tiles[0].payload
    with pytest.raises(BitstreamError):
        codec.decode(tiled[: tiled.index(first) + 3], allow_damaged=True)
    with pytest.raises(CorruptError):
        codec.decode(tiled[:9] + bytes([tiled[9] ^ 1]) + tiled[10:], allow_damaged=True)
    container = unpack(tiled)
    wrong = tuple(Tile(tile.payload, tile.latents_checksum ^ 1) for tile in container.tiles)
    with pytest.raises(BitstreamError):
        codec.decode(pack(dataclasses.replace(container, tiles=wrong)), allow_damaged=True)
    # The same where only some of them show it before they are decoded.
    half = pack(dataclasses.replace(container, tiles=wrong))
    for tile in wrong[:4]:
        half = damage(half, tile.payload)
    with pytest.raises(BitstreamError):
        codec.decode(half, allow_damaged=True)


def test_damaged_chunks_are_left_out(codec: Codec, tiled: bytes) -> None:
    picture = codec.decode(damage(tiled, b"profile"), allow_damaged=True)
    assert picture.metadata == Metadata(None, b"exif", b"xmp")
    assert picture.notes == ("chunks of metadata or alpha that are damaged and left out: 1",)
    container = unpack(tiled)
    chunks = (Chunk(b"ALPH", b"no stream"), *container.chunks[1:])
    picture = codec.decode(pack(dataclasses.replace(container, chunks=chunks)), allow_damaged=True)
    assert picture.alpha is None
    assert len(picture.notes) == 1
    chunks = (*container.chunks, Chunk(b"more", b"1"), Chunk(b"more", b"2"))
    assert codec.decode(pack(dataclasses.replace(container, chunks=chunks)), allow_damaged=True).notes == ()


@pytest.mark.slow
def test_salvage_of_any_cut_or_changed_file(tiled: bytes) -> None:
    """An error of ours or something intact, and never more than there was."""
    whole = unpack(tiled)
    for position in range(0, len(tiled), 3):
        for data in (tiled[:position], tiled[:position] + bytes([tiled[position] ^ 0x81]) + tiled[position + 1 :]):
            try:
                saved = salvage(data)
            except BitstreamError:
                continue
            assert saved.container.header == whole.header
            assert len(saved.container.tiles) == 8
            for index, (tile, original) in enumerate(zip(saved.container.tiles, whole.tiles, strict=True)):
                assert index in saved.damaged_tiles or tile == original


def test_salvage_refuses_unknown_mandatory_chunks(codec: Codec) -> None:
    data = pack(Container(Header(1, 1, False, 0, codec.fingerprint), (Chunk(b"abcd", b"x"),), (Tile(b"", 0),)))
    start = data.index(b"abcd")
    with pytest.raises(UnknownChunkError):
        salvage(data[:start] + sealed(b"ABCD\x01x") + data[start + 10 :])


def test_damaged_files_on_the_command_line(cae: Run, tiled: bytes, tmp_path: Path) -> None:
    source, out = tmp_path / "a.cae", tmp_path / "out.png"
    source.write_bytes(damage(tiled, unpack(tiled).tiles[2].payload))
    run = cae("decode", source, out)
    assert run.returncode == 4
    assert not out.exists()
    run = cae("decode", source, out, "--allow-damaged", "--quiet")
    assert run.returncode == 8
    assert run.stdout == ""
    lost, profile = run.stderr.splitlines()
    assert lost == f"cae: {source}: tile 3 of 8 is damaged: rows 0 to 63, columns 128 to 191 are grey"
    assert profile.endswith("ICC profile left out: it is not one for RGB")  # which that of this test is not
    with Image.open(out) as image:
        assert image.size == (200, 120)


def test_damaged_files_in_the_api(tiled: bytes) -> None:
    bad = damage(tiled, unpack(tiled).tiles[2].payload)
    with pytest.warns(UserWarning, match="tile 3 of 8 is damaged"):
        image = cae.decode(bad, allow_damaged=True)
    assert image.size == (200, 120)
