"""EXIF and directories of TIFF files: what describes the photograph goes through, and sizes fit the pixels."""

from __future__ import annotations

import shutil
import struct
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

import cae
from cae.codec.image import exif as blocks
from cae.codec.image.metadata import Metadata, fit_metadata
from cae.codec.image.picture import Picture, read_picture, to_pil
from cae.codec.image.save import save_picture
from cae.codec.image.tiff_directory import Entry, Structure, Tree, new_structure, written

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (11, 7, 3), dtype=np.uint8)
Order = Literal["little", "big"]
ORDERS: tuple[Order, ...] = ("little", "big")


def short(*values: int, order: Order = "little") -> Entry:
    return Entry(3, len(values), b"".join(value.to_bytes(2, order) for value in values))


def number(value: int, order: Order = "little") -> Entry:
    return Entry(4, 1, value.to_bytes(4, order))


def text(value: bytes) -> Entry:
    return Entry(2, len(value) + 1, value + b"\0")


def with_thumbnail(tree: Tree, order: Order = "little") -> bytes:
    """An EXIF block with a small JPEG after it, as cameras write it."""
    small = BytesIO()
    Image.new("RGB", (16, 12)).save(small, "JPEG")
    block = new_structure(tree, order)
    at = len(block) + len(block) % 2
    second = {513: number(at + 2 + 3 * 12 + 4, order), 514: number(small.tell(), order), 259: short(6, order=order)}
    end = 8 + 2 + 12 * len(tree)
    block = block[:end] + at.to_bytes(4, order) + block[end + 4 :]
    return block.ljust(at, b"\0") + written(second, at, order) + small.getvalue()


def jpeg(exif: bytes, pixels: Any = RGB) -> BytesIO:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", exif=b"Exif\0\0" + exif)
    file.seek(0)
    return file


def tiff(picture: Picture) -> bytes:
    file = BytesIO()
    save_picture(picture, file, "tiff")
    return file.getvalue()


def entries(data: bytes) -> dict[int, Entry]:
    structure = Structure(data)
    return structure.directory(structure.first).entries


LAYOUT: dict[int, Any] = {
    **{256: (96,), 257: (64,), 258: (8, 8, 8), 259: (6,), 262: (6,), 266: (2,), 277: (1,), 278: (8,), 284: (2,)},
    **{273: (8,), 279: (12,), 317: (2,), 322: (16,), 323: (16,), 324: (8,), 325: (99,), 330: (8,), 338: (1,)},
    **{339: (3,), 347: (8,), 529: (1, 2, 3), 530: (2, 2), 531: (1,), 532: (1,), 254: (1,), 255: (2,), 320: (5,) * 12},
    **{50706: (1, 4, 0, 0), 33421: (2, 2), 292: (1,), 301: (7,) * 4, 34675: (9,), 512: (1,), 513: (8,), 514: (3,)},
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("tags", [LAYOUT, *({tag: LAYOUT[tag]} for tag in LAYOUT)], ids=lambda tags: str(len(tags)))
def test_layout_tags_do_not_reach_a_tiff(tags: dict[int, Any], order: Order) -> None:
    """Each alone, and all of them: the pixels are those of the picture, for Pillow and for tifffile."""
    tifffile = pytest.importorskip("tifffile")
    tree = {tag: short(*values, order=order) for tag, values in tags.items()} | {271: text(b"Maker")}
    data = tiff(Picture(RGB, metadata=Metadata(exif=new_structure(tree, order))))
    with Image.open(BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), RGB)
        assert image.getexif()[271] == "Maker"
    assert np.array_equal(tifffile.imread(BytesIO(data)), RGB)
    assert set(entries(data)) == {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 271} | set(
        entries(tiff(Picture(RGB)))
    )
    assert np.array_equal(read_picture(BytesIO(data)).pixels, RGB)


@pytest.mark.skipif(shutil.which("tiffinfo") is None, reason="libtiff's tiffinfo is not installed")
def test_libtiff_reads_it(tmp_path: Path) -> None:
    tree = {tag: short(*values) for tag, values in LAYOUT.items()}
    tree |= {271: text(b"Maker"), 0x8769: {0x9003: text(b"2020:02:03 04:05:06")}, 0x8825: {1: text(b"N")}}  # type: ignore[dict-item]
    (tmp_path / "a.tif").write_bytes(tiff(Picture(RGB, metadata=Metadata(exif=new_structure(tree, "big")))))
    told = subprocess.run(["tiffinfo", "-D", str(tmp_path / "a.tif")], capture_output=True, text=True, check=True)
    assert told.stderr == ""


def test_tags_that_are_left_out_are_named() -> None:
    tree = {271: text(b"Maker"), 256: short(5), 50706: short(1), 40000: short(2)}
    notes = save_picture(Picture(RGB, metadata=Metadata(exif=new_structure(tree, "little"))), BytesIO(), "tiff")
    assert [note.split(": ")[1] for note in notes] == ["40000, 50706"]
    notes = save_picture(Picture(RGB, metadata=Metadata(exif=b"junk")), BytesIO(), "tiff")
    assert notes == ("EXIF left out: it is damaged",)
    block = with_thumbnail({271: text(b"Maker")})
    notes = save_picture(Picture(RGB, metadata=Metadata(exif=block)), BytesIO(), "tiff")
    assert notes == ("EXIF thumbnail left out: a TIFF file would have it as a second page",)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["José Müller".encode(), "José Müller".encode("latin-1"), "山田".encode("shift-jis")])
def test_bytes_of_text_go_through(name: bytes, order: Order) -> None:
    """From TIFF to EXIF, and from EXIF to every format that holds it."""
    below = {0x9003: text(b"2020:02:03 04:05:06"), 0xA430: text(name), 0x9286: Entry(7, 5, b"\0\xff\xfe\x80x")}
    tree: Tree = {315: text(name), 270: text(name + b"!"), 40091: Entry(1, 4, b"T\0i\0"), 0x8769: below}
    block = new_structure(tree, order)
    data = tiff(Picture(RGB, metadata=Metadata(exif=block)))
    for source in (jpeg(block), BytesIO(data), Image.open(BytesIO(data))):
        picture = read_picture(source)
        assert picture.metadata.exif is not None
        for format in ("tiff", "png", "jpg", "webp"):
            file = BytesIO()
            assert save_picture(picture, file, format) == ()
            again = read_picture(BytesIO(file.getvalue())).metadata.exif
            assert again is not None
            structure = Structure(again)
            main = structure.directory(structure.first).entries
            assert (main[315].data, main[270].data, main[40091].data) == (name + b"\0", name + b"!\0", b"T\0i\0")
            inner = structure.subdirectory(main, 0x8769)
            assert inner is not None
            assert {tag: entry.data for tag, entry in inner.entries.items()} == {
                tag: entry.data for tag, entry in below.items()
            }


def test_values_change_their_byte_order() -> None:
    """Numbers of each size are the same numbers in a file of the other order."""
    values = {270: (3, "H", 5), 271: (4, "I", 70000), 272: (8, "h", -3), 305: (9, "i", -70000), 306: (12, "d", 0.1)}
    tree: dict[int, Entry | Tree] = {tag: Entry(t, 2, struct.pack(f">2{c}", v, v)) for tag, (t, c, v) in values.items()}
    tree[0x8825] = {2: Entry(5, 3, struct.pack(">6I", 1, 2, 3, 4, 5, 6))}
    data = tiff(Picture(RGB, metadata=Metadata(exif=new_structure(tree, "big"))))
    main = entries(data)
    for tag, (type, code, value) in values.items():
        assert (main[tag].type, struct.unpack(f"<2{code}", main[tag].data)) == (type, (value, value))
    gps = Structure(data).subdirectory(main, 0x8825)
    assert gps is not None
    assert struct.unpack("<6I", gps.entries[2].data) == (1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_sides_are_those_of_the_pixels(orientation: int, order: Order) -> None:
    below = {40962: number(7, order), 40963: short(11, order=order)}
    tree: Tree = {
        256: short(7, order=order),
        257: short(11, order=order),
        274: short(orientation, order=order),
        0x8769: below,
    }
    packet = b"<x tiff:ImageWidth=\"7\" exif:PixelXDimension = '7'><exif:PixelYDimension>11</exif:PixelYDimension></x>"
    picture = read_picture(jpeg(with_thumbnail(tree, order)))
    width, height = (11, 7) if orientation == 6 else (7, 11)
    assert (picture.width, picture.height) == (width, height)
    whole = Metadata(exif=picture.metadata.exif, xmp=packet)
    for metadata, sides in (
        (picture.metadata, (width, height)),
        (fit_metadata(whole, 3, 70000)[0], (3, 70000)),
    ):
        assert metadata.exif is not None
        structure = Structure(metadata.exif)
        main = structure.directory(structure.first).entries
        inner = structure.subdirectory(main, 0x8769)
        assert inner is not None
        found = [main[256], main[257], inner.entries[40962], inner.entries[40963]]
        assert [structure.numbers(entry)[0] for entry in found] == [*sides, *sides]
        assert structure.numbers(main[274]) == (1,)
    assert metadata.xmp is not None
    assert metadata.xmp == packet.replace(b'"7"', b'"3"').replace(b"'7'", b"'3'").replace(b">11<", b">70000<")


@pytest.mark.parametrize("order", ORDERS)
def test_a_thumbnail_that_no_longer_fits_is_dropped(order: Order) -> None:
    tree: dict[int, Entry | Tree] = {
        271: text(b"A maker with a long name"),
        0x8769: {0x927C: Entry(7, 40, bytes(range(40)))},
    }
    plain = with_thumbnail(tree, order)
    tree[274] = short(6, order=order)
    turned = with_thumbnail(tree, order)
    assert read_picture(jpeg(plain)).metadata.exif == plain
    picture = read_picture(jpeg(turned))
    assert picture.notes == ("EXIF orientation applied", "EXIF thumbnail dropped: the picture was turned")
    block = picture.metadata.exif
    assert block is not None
    assert len(block) < len(turned) - 200
    assert b"\xff\xd8" not in block
    assert (blocks.without_thumbnail(block)[1], blocks.without_thumbnail(turned)[1]) == (False, True)
    cut = blocks.upright(turned)[: len(block)]
    assert [i for i in range(len(block)) if block[i] != cut[i]] != []  # the place of the second directory
    assert block.replace(bytes(4), b"").endswith(bytes(range(40))[-30:])  # maker notes stay where they were
    again = read_picture(to_pil(picture))
    assert again.metadata == picture.metadata


def test_a_thumbnail_in_the_middle_is_blanked() -> None:
    """Nothing behind it moves."""
    block = with_thumbnail({271: text(b"Maker")}) + b"behind" * 30
    shorter, had_one = blocks.without_thumbnail(block)
    assert had_one
    assert len(shorter) == len(block)
    assert shorter.endswith(b"behind" * 30)
    assert b"\xff\xd8" not in shorter


@pytest.mark.parametrize(
    "junk", [b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff\x12\x01", b"II+\0" + bytes(20)]
)
def test_damaged_blocks_stay_as_they_are(junk: bytes) -> None:
    assert blocks.upright(junk) == blocks.fitted(junk, 3, 4) == blocks.without_thumbnail(junk)[0] == junk
    assert blocks.resolution(junk) is None


def test_directories_that_lead_to_themselves_end() -> None:
    tree: Tree = {271: text(b"Maker"), 0x8769: {0x9003: text(b"2020")}}
    block = bytearray(new_structure(tree, "little"))
    entry = entries(bytes(block))[0x8769]
    block[entry.at + 8 : entry.at + 12] = (8).to_bytes(4, "little")  # the directory of itself
    block[8 + 2 + 24 : 8 + 2 + 28] = (8).to_bytes(4, "little")  # and the next one
    assert len(list(Structure(bytes(block)).chain())) == 1
    for format in ("tiff", "png"):
        save_picture(
            Picture(RGB, metadata=fit_metadata(Metadata(exif=bytes(block)), 3, 4, moved="x")[0]), BytesIO(), format
        )


def test_every_cut_and_change_of_a_block_is_survived() -> None:
    block = with_thumbnail({271: text(b"Maker"), 274: short(6), 0x8769: {0x9003: text(b"2020"), 40962: number(7)}})
    for length in range(0, len(block), 5):
        changed = bytearray(block)
        changed[length] ^= 255
        for damaged in (block[:length], bytes(changed)):
            fit_metadata(Metadata(exif=blocks.upright(damaged)), 3, 4, moved="x")
            tiff(Picture(RGB, metadata=Metadata(exif=damaged)))


def test_a_part_of_a_picture_has_its_own_metadata() -> None:
    """And it is not said to be damaged for it."""
    block = with_thumbnail({256: short(70), 257: short(80), 271: text(b"Maker")})
    file = cae.encode(jpeg(block, np.zeros((80, 70, 3), np.uint8)), effort=1)
    exif = cae.decode(file, region=(1, 2, 33, 44)).info["exif"].removeprefix(b"Exif\0\0")
    assert [entries(exif)[tag].data for tag in (256, 257)] == [b"\x21\0", b"\x2c\0"]
    assert not blocks.without_thumbnail(exif)[1]
    exif = cae.decode(file, scale=8).info["exif"].removeprefix(b"Exif\0\0")
    assert [entries(exif)[tag].data for tag in (256, 257)] == [b"\x09\0", b"\x0a\0"]
    assert blocks.without_thumbnail(exif)[1]
