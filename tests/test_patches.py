"""Patches: parts of pictures without loss, in the file, in every way to decode it, and as the encoder chooses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageFont

import cae
from cae.bitstream.container import PATCHES, Chunk, Container, pack, patches_of, unpack
from cae.bitstream.errors import BitstreamError, CaeError, CorruptError, InputError
from cae.bitstream.patches import AREA, areas, pack_patches, unpack_patches
from cae.codec.bit_usage import bit_usage
from cae.codec.codec import FileCoder
from cae.codec.encode import mixed
from cae.codec.encode.block_bound import excess
from cae.codec.encode.choice import Choice, picture_excess, with_more
from cae.codec.encode.fewer_colours import MOST, Colours
from cae.codec.encode.mixed import with_patches
from cae.codec.encode.options import EncodeOptions
from cae.codec.encode.patches import fill
from cae.codec.encode.refine import Checked
from cae.codec.encode.suspects import CELL, drawn_cells, fine_colours, suspects
from cae.codec.image.picture import Picture
from cae.codec.image.webp import compress, decompress
from cae.codec.info import info
from cae.codec.model.rate import rate_index_of
from cae.codec.select import load_on_cpu

Pixels = npt.NDArray[np.uint8]
Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def codec() -> FileCoder:
    return load_on_cpu()


def text(width: int, height: int) -> Pixels:
    """Lines of letters, dark on light."""
    image = Image.new("RGB", (width, height), (250, 250, 245))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    for line, top in enumerate(range(4, height, 18)):
        pen.text(
            (6, top),
            f"{line:3}  the quick brown fox jumps over {line * 7919 % 1000} lazy dogs " * 4,
            (20, 20, 60),
            font,
        )
    return np.asarray(image)


@pytest.fixture(scope="module")
def screen() -> Pixels:
    """uint8 [300, 450, 3]: text with a photograph in it."""
    pixels = text(450, 300).copy()
    pixels[40:240, 200:400] = skimage.data.astronaut()[40:240, 150:350]  # type: ignore[no-untyped-call]
    return pixels


@pytest.fixture(scope="module")
def file(codec: FileCoder, screen: Pixels) -> bytes:
    return codec.encode(Picture(screen), 60)


def half(codec: FileCoder, pixels: Pixels, tile: int = 16) -> Container:
    """Every second column of cells of 64 pixels in patches, and the last tile altogether."""
    height, width = pixels.shape[:2]
    header = replace(unpack(codec.encode(Picture(pixels[:64, :64]), 50)).header, width=width, height=height, tile=tile)
    cells = np.zeros((-(-height // CELL), -(-width // CELL)), bool)
    cells[:, 2:4] = cells[:, 6:8] = True
    cells[2 * tile :, 2 * tile :] = True
    header = replace(header, grey=pixels.ndim == 2)
    return with_patches(codec.coder, pixels, header, Choice(cells, pixels, 0), 2)


# The format.


def test_round_trip_of_the_chunk() -> None:
    random = np.random.default_rng(0)
    for height, width in ((1, 1), (64, 65), (4096, 4097), (100, 9000)):
        skipped = random.random((-(-height // 64), -(-width // 64))) < 0.5
        streams = tuple(random.bytes(int(random.integers(0, 50))) for _ in areas(height, width))
        exact = bool(random.integers(2))
        found = unpack_patches(pack_patches(skipped, streams, exact=exact), height, width)
        assert np.array_equal(found.skipped, skipped)
        assert found.streams == streams
        assert found.exact == exact
    assert [(own.top, own.left, own.height, own.width) for own in areas(AREA + 1, AREA)] == [
        (0, 0, AREA, AREA),
        (AREA, 0, 1, AREA),
    ]


def test_any_chunk_unpacks_or_raises() -> None:
    random = np.random.default_rng(1)
    data = pack_patches(np.ones((3, 5), bool), (b"abcdef",), exact=True)
    for _ in range(2000):
        changed = bytearray(data)
        for _ in range(int(random.integers(1, 4))):
            changed[int(random.integers(len(data)))] = int(random.integers(256))
        for allow_damaged in (False, True):
            try:
                found = unpack_patches(bytes(changed), 180, 300, allow_damaged=allow_damaged)
            except BitstreamError:
                continue
            assert found.skipped.shape == (3, 5)
            assert len(found.streams) == 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (40, 70, 3), (33, 20)])
def test_streams_are_exact(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(2)
    pixels = random.integers(0, 256, shape, np.uint8)
    shown = random.random(shape[:2]) < 0.5
    found, where = decompress(compress(pixels, shown, 4, 75), *shape[:2])
    assert np.array_equal(where, shown)
    assert np.array_equal(found[shown], np.broadcast_to(pixels.reshape(*shape[:2], -1), (*shape[:2], 3))[shown])


def test_any_stream_decodes_or_raises() -> None:
    random = np.random.default_rng(3)
    pixels = text(60, 40)
    stream = compress(pixels, np.ones((40, 60), bool), 4, 75)
    for _ in range(1000):
        changed = bytearray(stream)
        for _ in range(int(random.integers(1, 4))):
            changed[int(random.integers(len(stream)))] = int(random.integers(256))
        try:
            found, shown = decompress(bytes(changed), 40, 60)
        except CorruptError:
            continue
        assert found.shape == (40, 60, 3)
        assert shown.shape == (40, 60)


def test_a_stream_of_another_size_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """16383 x 16383 pixels of one colour take 40 bytes."""
    stream = compress(np.zeros((600, 700), np.uint8), np.ones((600, 700), bool), 0, 0)
    monkeypatch.setattr(Image, "open", None)
    for size in ((600, 701), (599, 700), (64, 64)):
        with pytest.raises(CorruptError, match="another size"):
            decompress(stream, *size)
    for other in (b"", b"\x2f", b"\x2f\0\0\0", b"RIFF" + stream):
        with pytest.raises(CorruptError, match="lossless WebP"):
            decompress(other, 600, 700)


# Decoding.


@pytest.mark.parametrize("kind", ["colour", "grey"])
def test_every_way_to_decode_shows_the_same(codec: FileCoder, screen: Pixels, kind: str) -> None:
    """Tiles, regions, reduced views: patches are where they belong."""
    pixels = screen if kind == "colour" else np.ascontiguousarray(screen[..., 1])
    data = pack(half(codec, pixels, tile=2))
    whole = codec.decode(data).pixels
    assert np.array_equal(whole[:, 64:128], pixels[:, 64:128])
    assert np.array_equal(whole[:, 192:256], pixels[:, 192:256])
    assert not np.array_equal(whole[:, :64], pixels[:, :64])
    for x, y, width, height in ((0, 0, 450, 300), (60, 50, 10, 10), (129, 130, 200, 99), (449, 299, 1, 1)):
        part = codec.decode(data, region=(x, y, width, height)).pixels
        assert np.array_equal(part, whole[y : y + height, x : x + width])
    small = codec.decode(data, scale=4).pixels
    means = whole[:8, 64:72].reshape(2, 4, 2, 4, -1).mean(axis=(1, 3))
    assert np.abs(small[:2, 16:18].reshape(means.shape) - means).max() <= 0.5
    rows: list[Pixels] = []
    codec.decode(data, write=rows.append)
    assert np.array_equal(np.concatenate(rows), whole)


def test_cells_that_are_skipped_take_nothing(codec: FileCoder, screen: Pixels) -> None:
    file = half(codec, screen, tile=2)
    patches = patches_of(file.header, file.chunks)
    assert patches is not None
    assert patches.skipped[:, [1, 3]].all()
    assert file.tiles[-1].payload == b""
    usage = bit_usage(codec, file)
    of_cells = usage.positions.reshape(5, 4, 8, 4).sum(axis=(1, 3))
    assert np.array_equal(of_cells > 0, ~patches.skipped)
    assert usage.hyper > 0
    latents = codec.decode_latents(file)
    assert not latents.reshape(5, 4, 8, 4, -1).swapaxes(1, 2)[patches.skipped].any()


def test_files_decode_together_as_alone(codec: FileCoder, screen: Pixels) -> None:
    pictures = [Picture(np.ascontiguousarray(screen[:128, left : left + 192])) for left in (0, 100, 190)]
    files = [codec.encode(picture, 60) for picture in pictures]
    assert any(unpack(data).chunks for data in files)
    assert files == codec.encode_many(pictures, 60)
    for data, picture in zip(files, codec.decode_many(files), strict=True):
        assert np.array_equal(codec.decode(data).pixels, picture.pixels)


# Damage.


def test_damaged_patches_are_an_error_or_missing(codec: FileCoder, screen: Pixels) -> None:
    data = pack(half(codec, screen))
    whole = codec.decode(data).pixels
    chunk = unpack(data).chunks[0].data
    at = data.index(chunk) + len(chunk) // 2
    damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    with pytest.raises(CorruptError):
        codec.decode(damaged)
    shown = codec.decode(damaged, allow_damaged=True)
    assert shown.notes == ("patches are damaged: what they show is missing in rows 0 to 299, columns 0 to 449",)
    assert (shown.pixels[:, 64:128] == 128).all()
    assert np.array_equal(shown.pixels[:, :64], whole[:, :64])


def test_damaged_tiles_keep_their_patches(codec: FileCoder, screen: Pixels) -> None:
    file = half(codec, screen, tile=2)
    tiles = (replace(file.tiles[0], latents_checksum=file.tiles[0].latents_checksum ^ 1), *file.tiles[1:])
    shown = codec.decode(pack(replace(file, tiles=tiles)), allow_damaged=True)
    assert len(shown.notes) == 1
    assert (shown.pixels[:128, :64] == 128).all()
    assert np.array_equal(shown.pixels[:, 64:128], screen[:, 64:128])


def test_without_the_map_there_is_nothing(codec: FileCoder, file: bytes) -> None:
    at = file.index(b"PTCH") + 10
    with pytest.raises(CorruptError):
        codec.decode(file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :], allow_damaged=True)


def test_streams_that_do_not_decode(codec: FileCoder, screen: Pixels) -> None:
    """Records are sound, what is in them is not."""
    file = half(codec, screen)
    patches = patches_of(file.header, file.chunks)
    assert patches is not None
    (stream,) = patches.streams
    for other in (stream[: len(stream) // 3], b"", stream[:5] + b"\xff" * 40):
        data = pack(replace(file, chunks=(Chunk(PATCHES, pack_patches(patches.skipped, (other,), exact=True)),)))
        with pytest.raises(CorruptError):
            codec.decode(data)
        if other:
            assert codec.decode(data, allow_damaged=True).notes


# The encoder's choice.


def test_screens_come_out_with_exact_text(codec: FileCoder, screen: Pixels, file: bytes) -> None:
    shown = codec.decode(file).pixels
    assert np.array_equal(shown[:32], screen[:32])
    assert (shown[256:] == screen[256:]).all(axis=-1).mean() > 0.97
    assert not np.array_equal(shown[80:200, 240:360], screen[80:200, 240:360])
    off = codec.encode_pictures([Picture(screen)], EncodeOptions(60, patches="off"))[0]
    assert len(file) < len(off)
    assert unpack(off).chunks == ()
    assert not info(file).lossless
    assert info(file).chunk_bytes["patches"] > 0
    over = excess(codec.coder.networks, rate_index_of(60), screen[None, :288, :448], shown[None, :288, :448])
    assert over.max() <= 1


def leaves(side: int) -> Pixels:
    """Small ellipses in many greens, reds and yellows: colours that networks of few latents lose."""
    random, image = np.random.default_rng(0), Image.new("RGB", (side, side), (40, 50, 20))
    pen = ImageDraw.Draw(image)
    for _ in range(side * side // 8):
        left, top = (int(value) for value in random.integers(-2, side, 2))
        across, down = (int(value) for value in random.integers(1, 5, 2))
        colour = [int(value) for value in random.integers((60, 60, 0), (250, 220, 80))]
        pen.ellipse((left, top, left + across, top + down), tuple(colour))
    return np.asarray(image)


def test_fine_colours_are_exact_at_the_highest_qualities(codec: FileCoder, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = leaves(256)
    monkeypatch.setattr(mixed, "suspects", lambda _: np.zeros((8, 8), bool))
    best, usual = (codec.encode_pictures([Picture(pixels)], EncodeOptions(quality))[0] for quality in (100, 60))
    assert info(best).lossless
    assert np.array_equal(codec.decode(best).pixels, pixels)
    assert unpack(usual).chunks == ()
    weight = float(codec.coder.networks.rate_weight[255])
    assert fine_colours(pixels, weight).all()
    assert not fine_colours(pixels, weight / 8).any()
    assert not fine_colours(pixels[..., 0], weight).any()
    luma = np.ascontiguousarray(pixels[..., :1].repeat(3, axis=2))
    assert not fine_colours(luma, weight).any()


def test_points_in_the_white_of_a_photograph_are_none() -> None:
    """But on a ground of one colour they are, be they as few."""
    photo = np.array(skimage.data.astronaut())  # type: ignore[no-untyped-call]
    photo[32:96, 32:96] = 255
    photo[70, 80] = 230
    assert not suspects(photo).any()
    photo[:] = 255
    photo[70, 80] = 230
    assert suspects(photo).sum() == 1


def test_photographs_have_few_fine_colours(codec: FileCoder) -> None:
    weight = float(codec.coder.networks.rate_weight[255])
    for photo in (skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea(), skimage.data.rocket()):  # type: ignore[no-untyped-call]
        assert not fine_colours(photo, weight).any()


@pytest.mark.parametrize("axis", [0, 1])
def test_the_energy_of_fine_colours_is_that_of_waves(axis: int) -> None:
    """Waves of two pixels, of amplitude 10 in red and blue: an error of 2/3 of 10^2, a mean over the colours, half of
    which each direction sees."""
    wave = 10 * (-1) ** np.arange(64)
    pixels = np.full((64, 64, 3), 128, np.uint8)
    pixels[..., 0] = pixels[..., 2] = 128 + (wave[:, None] if axis == 0 else wave[None, :])
    edge = 14 / (10**2 / 3)
    assert fine_colours(pixels, 1.1 * edge).all()
    assert not fine_colours(pixels, 0.9 * edge).any()


@pytest.mark.parametrize("chosen", [0, 1])
def test_blocks_that_networks_break_go_into_patches(
    codec: FileCoder, screen: Pixels, monkeypatch: pytest.MonkeyPatch, chosen: int
) -> None:
    """Whatever cells cost: those of a block that the file without patches shows in another colour, and those that the
    networks break beside cells that were chosen."""
    green = screen.copy()
    green[272:288, 32:64] = 20, 200, 20
    plain = unpack(codec.encode_pictures([Picture(screen)], EncodeOptions(20, patches="off"))[0])
    rate_index = plain.header.rate_index

    def shows_paper(*arguments: Any) -> list[Checked]:
        """The file's own tile, which knows nothing of the green."""
        return [Checked(tile, True) for tile in plain.tiles]

    cells = np.zeros((10, 15), bool)
    cells[0, 0] = True
    choice = Choice(cells, green, 0) if chosen else None
    monkeypatch.setattr(mixed, "choose", lambda *_: choice)
    monkeypatch.setattr(mixed.refine, "encode", shows_paper)
    file = mixed.best(codec.coder, green, plain, 2, is_bounded=True)
    shown = codec.decode(pack(file)).pixels
    assert np.array_equal(shown[256:288, 32:64], green[256:288, 32:64])
    assert np.array_equal(shown[:32, :32], green[:32, :32]) == bool(chosen)
    assert picture_excess(codec.coder.networks, rate_index, green, shown).max() <= 1
    monkeypatch.setattr(mixed, "ROUNDS", chosen)
    shown = codec.decode(pack(mixed.best(codec.coder, green, plain, 2, is_bounded=True))).pixels
    assert picture_excess(codec.coder.networks, rate_index, green, shown).max() > 1


def test_what_the_networks_break_in_a_photograph_becomes_a_patch(codec: FileCoder) -> None:
    """Also where nothing looks drawn, once the encoder knows of it."""
    photo = np.ascontiguousarray(skimage.data.astronaut()[:128, 256:384])  # type: ignore[no-untyped-call]
    other = photo.copy()
    other[32:48, 64:80] = 255 - photo[32:48, 64:80]
    plain = unpack(codec.encode_pictures([Picture(photo)], EncodeOptions(40, patches="off"))[0])
    assert mixed.best(codec.coder, other, plain, 2, is_bounded=True) is plain
    shown = codec.decode(pack(mixed.best(codec.coder, other, plain, 2, is_bounded=False))).pixels
    assert picture_excess(codec.coder.networks, plain.header.rate_index, other, shown).max() <= 1


def test_more_cells_keep_fewer_colours_within_their_bound(codec: FileCoder) -> None:
    pixels = text(256, 128)
    some, more = np.zeros((2, 4, 8), bool)
    some[0] = more[:2] = True
    networks, rate_index = codec.coder.networks, rate_index_of(20)
    choice = Choice(some, Colours(pixels).reduced(some, 12), 12)
    wider = with_more(networks, rate_index, pixels, choice, more)
    assert np.array_equal(wider.cells, more)
    assert wider.radius == 12
    assert np.array_equal(wider.shown, Colours(pixels).reduced(more, 12))
    assert not np.array_equal(wider.shown, pixels)
    # Colours may move so far that blocks are beyond their bound: then all cells are exact.
    spot = np.full((128, 256, 3), 100, np.uint8)
    spot[32:48, 32:48] = 112
    far = with_more(networks, rate_index, spot, Choice(some, spot, 200), more)
    assert not np.array_equal(Colours(spot).reduced(more, 200), spot)
    assert far.radius == 0
    assert np.array_equal(far.shown, spot)


@pytest.mark.parametrize("quality", [60, 100])
def test_drawings_become_files_without_loss(codec: FileCoder, quality: int) -> None:
    pixels = text(320, 200)
    data = codec.encode(Picture(pixels), quality)
    assert info(data).lossless
    assert info(data).tile_bytes == 0
    assert np.array_equal(codec.decode(data).pixels, pixels)


@pytest.mark.parametrize("grey", [False, True])
def test_low_qualities_have_fewer_colours(codec: FileCoder, grey: bool) -> None:
    """Where they are much smaller: what is seen often stays, the file says so, blocks are within their bound."""
    pixels = text(640, 320)[..., 0] if grey else text(640, 320)
    pixels = np.ascontiguousarray(pixels)
    data, exact = codec.encode(Picture(pixels), 30), codec.encode(Picture(pixels), 60)
    assert info(exact).lossless
    assert not info(data).patches_exact
    assert not info(data).lossless
    assert info(data).tile_bytes == 0
    assert len(data) < len(exact)
    shown = codec.decode(data).pixels
    colours = [np.unique(own.reshape(-1, own[0, 0].size), axis=0) for own in (pixels, shown)]
    assert len(colours[1]) < len(colours[0]) / 2
    paper = pixels == pixels[0, 0]
    assert np.array_equal(shown[paper], pixels[paper])
    rgb = [own if own.ndim == 3 else own[..., None].repeat(3, axis=2) for own in (pixels, shown)]
    assert excess(codec.coder.networks, rate_index_of(30), rgb[0][None], rgb[1][None]).max() <= 1


def test_fewer_colours_only_in_cells() -> None:
    random = np.random.default_rng(6)
    pixels = random.integers(0, 256, (70, 100, 3), np.uint8)
    pixels[:, :50] = pixels[0, 0]
    cells = np.zeros((3, 4), bool)
    cells[:2, 1:] = cells[2, 3] = True
    colours = Colours(pixels)
    found = colours.reduced(cells, 20)
    shown = cells.repeat(CELL, axis=0).repeat(CELL, axis=1)[:70, :100]
    assert np.array_equal(found[~shown], pixels[~shown])
    assert np.array_equal(found[:, :50], pixels[:, :50])
    assert len(np.unique(found[shown], axis=0)) <= MOST
    assert len(np.unique(pixels[shown], axis=0)) > MOST
    assert np.array_equal(colours.reduced(cells, 0), pixels)
    assert np.array_equal(colours.reduced(np.zeros_like(cells), 20), pixels)
    grey = np.ascontiguousarray(pixels[..., 0])
    found = Colours(grey).reduced(cells, 20)
    assert found.shape == grey.shape
    assert len(np.unique(found[shown])) < len(np.unique(grey[shown]))


def test_areas_have_colours_of_their_own() -> None:
    pixels = np.zeros((40, AREA + 40), np.uint8)
    pixels[:, :300] = np.arange(40)[:, None]
    pixels[:, AREA:] = 9
    found = Colours(pixels).reduced(np.ones((2, AREA // CELL + 2), bool), 200)
    assert (found[:, AREA:] == 9).all()
    assert len(np.unique(found[:, :AREA])) < 40


@pytest.mark.parametrize("grey", [False, True])
def test_all_is_without_loss(codec: FileCoder, screen: Pixels, grey: bool) -> None:
    pixels = np.ascontiguousarray(screen[..., 0]) if grey else screen
    alpha = np.ascontiguousarray(255 - screen[..., 1])
    (data,) = codec.encode_pictures([Picture(pixels, alpha)], EncodeOptions(patches="all"))
    assert info(data).lossless
    found = codec.decode(data)
    assert np.array_equal(found.pixels, pixels)
    assert found.alpha is not None
    assert np.array_equal(found.alpha, alpha)
    assert np.array_equal(codec.decode(data, region=(10, 20, 30, 40)).pixels, pixels[20:60, 10:40])


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (65, 64)])
def test_small_pictures_without_loss(codec: FileCoder, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (*size, 3), np.uint8)
    (data,) = codec.encode_pictures([Picture(pixels)], EncodeOptions(patches="all"))
    assert np.array_equal(codec.decode(data).pixels, pixels)


def test_patterns_of_pure_colours_are_exact(codec: FileCoder) -> None:
    """One pixel on, one off: the networks have nothing for that at any rate."""
    y, x = np.mgrid[:128, :192]
    pixels = np.where(((x + y) % 2 == 0)[..., None], np.uint8([255, 0, 0]), np.uint8([0, 0, 255])).astype(np.uint8)
    assert np.array_equal(codec.decode(codec.encode(Picture(pixels), 50)).pixels, pixels)


def test_points_on_a_ground_of_one_colour_stay(codec: FileCoder) -> None:
    """Stars, specks: squared error spreads them over blocks, so that no latent of them is coded."""
    pixels = np.full((128, 192, 3), 60, np.uint8)
    pixels[7::31, 9::23] += 24
    assert suspects(pixels).any()
    decoded = codec.decode(codec.encode(Picture(pixels), 95)).pixels
    assert np.array_equal(decoded, pixels)
    assert not suspects(np.full((128, 192, 3), 60, np.uint8)).any()


def test_photographs_stay_what_they_were(codec: FileCoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not looked at twice."""
    monkeypatch.setattr(mixed, "cell_costs", None)
    for pixels in (skimage.data.astronaut()[:256, :256], skimage.data.coffee()[:200, :300]):  # type: ignore[no-untyped-call]
        assert not suspects(pixels).any()
        picture = Picture(np.ascontiguousarray(pixels))
        off = codec.encode_pictures([picture], EncodeOptions(50, patches="off"))[0]
        assert codec.encode(picture, 50) == off


def test_suspects_are_text(screen: Pixels) -> None:
    found = suspects(screen)
    assert found.shape == (10, 15)
    assert not found[2:7, 7:12].any()
    assert found[:, :5].mean() > 0.2
    assert suspects(np.ascontiguousarray(screen[..., 1])).any()
    assert not suspects(np.full((70, 70, 3), 9, np.uint8)).any()
    few = drawn_cells(screen)
    assert (few | ~found).all()
    assert few[2:7, 7:12].mean() < 0.1  # a photograph
    assert drawn_cells(np.full((70, 70, 3), 9, np.uint8)).all()
    faint = (text(200, 100) // 8).astype(np.uint8)
    assert not suspects(faint).any()
    assert drawn_cells(faint).mean() > 0.6


def test_filling_comes_from_around() -> None:
    pixels = np.zeros((96, 128), np.uint8)
    pixels[:, :64], pixels[:, 64:] = 40, 200
    cells = np.zeros((3, 4), bool)
    cells[1, 0] = cells[1, 3] = True
    pixels[32:64, :32] = pixels[32:64, 96:] = 255
    filled = fill(pixels, cells)
    assert (filled[:, :64] == 40).all()
    assert (filled[:, 64:] == 200).all()
    assert (fill(pixels, np.ones((3, 4), bool)) == 128).all()


def test_too_little_left_for_a_tile_is_filled(
    codec: FileCoder, screen: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a decoder would suspect a bomb the networks code what is under patches as well."""
    monkeypatch.setattr(mixed, "is_enough", lambda length, rectangle, skipped: not skipped.any() or skipped.all())
    file = half(codec, screen)
    patches = patches_of(file.header, file.chunks)
    assert patches is not None
    assert not patches.skipped.any()
    shown = codec.decode(pack(file)).pixels
    assert np.array_equal(shown[:, 64:128], screen[:, 64:128])


@pytest.mark.slow
def test_target_sizes_hold(screen: Pixels) -> None:
    part = np.ascontiguousarray(screen[:128, 100:260])
    exact = len(cae.encode(part, patches="all"))
    for target in (3000, exact + 200):
        data = cae.encode(part, target_size=target)
        assert len(data) <= target


def test_options() -> None:
    screen = text(40, 40)
    with pytest.raises(InputError, match="without loss"):
        cae.encode(screen, patches="all", target_size=5000)
    with pytest.raises(InputError, match="patches are one of"):
        cae.encode(screen, patches="some")


def test_command(cae: Run, tmp_path: Path, screen: Pixels) -> None:
    source, coded, out = tmp_path / "a.png", tmp_path / "a.cae", tmp_path / "b.png"
    Image.fromarray(screen).save(source)
    run = cae("encode", source, coded, "--lossless")
    assert run.returncode == 0, run.stderr
    assert "lossless" in run.stdout
    assert cae("decode", coded, out).returncode == 0
    assert np.array_equal(np.asarray(Image.open(out)), screen)
    shown = cae("info", coded).stdout
    assert "all pixels, without loss" in shown
    assert "quality     lossless" in shown
    Image.fromarray(text(640, 320)).save(tmp_path / "c.png")
    assert cae("encode", tmp_path / "c.png", tmp_path / "c.cae", "-q", "30").returncode == 0
    shown = cae("info", tmp_path / "c.cae").stdout
    assert "parts, in fewer colours" in shown
    assert "quality     30" in shown
    assert cae("encode", source, coded, "--patches", "off").returncode == 0
    assert "patches" not in cae("info", coded).stdout
    assert cae("encode", source, coded, "--lossless", "--patches", "off").returncode == 2
    assert cae("encode", source, coded, "--lossless", "-q", "5").returncode == 2
    assert cae("encode", source, coded, "--lossless", "--target-size", "5k").returncode == 2


def test_any_bytes_decode_or_raise(codec: FileCoder, screen: Pixels) -> None:
    data = codec.encode(Picture(np.ascontiguousarray(screen[:64, :96])), 60)
    random = np.random.default_rng(5)
    for _ in range(60):
        changed = bytearray(data)
        changed[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
        for allow_damaged in (False, True):
            try:
                codec.decode(bytes(changed), allow_damaged=allow_damaged, max_pixels=10**6)
            except CaeError:
                continue
