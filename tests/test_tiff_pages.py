"""TIFF files of several pages, and cameras' raw data: the picture is taken, or it is said why not."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cae.pillow  # noqa: F401  registers the format
from cae.codec.image.picture import read_picture
from cae.codec.image.tiff_pages import main_page
from cae.errors import ImageError

tifffile = pytest.importorskip("tifffile")

FULL = np.full((20, 30, 3), 100, np.uint8)
SMALL = np.full((5, 8, 3), 200, np.uint8)
REDUCED: dict[str, Any] = {"subfiletype": 1}
OLD: dict[str, Any] = {"subfiletype": 0, "extratags": [(255, "H", 1, 2, True)]}


def pages(*each: tuple[np.ndarray, dict[str, Any]], **options: Any) -> BytesIO:
    file = BytesIO()
    with tifffile.TiffWriter(file, **options) as writer:
        for pixels, own in each:
            writer.write(pixels, **{"photometric": "rgb", "metadata": None} | own)
    file.seek(0)
    return file


@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}], ids=str)
@pytest.mark.parametrize(
    ("each", "notes"),
    [
        ([(SMALL, REDUCED), (FULL, {})], ()),
        ([(FULL, {}), (SMALL, REDUCED)], ()),
        ([(SMALL, REDUCED), (SMALL, REDUCED), (FULL, {})], ()),
        ([(FULL, {}), (SMALL, {})], ("first of several frames taken",)),
        ([(SMALL, REDUCED), (FULL, {}), (SMALL, {})], ("first of several frames taken",)),
        ([(SMALL, REDUCED), (FULL, REDUCED)], ("the file says that it holds reduced images alone: the largest",)),
        (
            [(FULL, {}), (FULL[..., 0] > 5, {"subfiletype": 4, "photometric": 4})],
            ("page with a transparency mask left out",),
        ),
        ([(SMALL, {"subfiletype": 1, "subifds": 1}), (FULL, {})], ()),
    ],
)
def test_the_page_of_full_resolution(each: Any, notes: tuple[str, ...], options: dict[str, Any]) -> None:
    picture = read_picture(pages(*each, **options))
    assert np.array_equal(picture.pixels, FULL)
    assert len(picture.notes) == len(notes)
    assert all(note.startswith(start) for note, start in zip(picture.notes, notes, strict=True))


def test_a_larger_page_that_is_not_taken_is_named() -> None:
    picture = read_picture(pages((SMALL, {}), (FULL, {})))
    assert np.array_equal(picture.pixels, SMALL)
    assert picture.notes == ("first of several frames taken; another is larger, 30x20",)


def test_the_old_tag_of_reduced_pages() -> None:
    """SubfileType, 2 for reduced, of files that have no NewSubfileType."""
    data = bytearray(pages((SMALL, {"extratags": [(255, "H", 1, 2, True)]}), (FULL, {})).getvalue())
    for entry in range(10, len(data) - 12, 2):
        if data[entry : entry + 4] == b"\xfe\0\4\0":
            data[entry : entry + 2] = b"\xfd\0"  # another tag in the place of NewSubfileType
    assert np.array_equal(read_picture(BytesIO(data)).pixels, FULL)


CFA = np.full((20, 30), 1000, np.uint16)


def raw(photometric: int, tags: list[Any], where: str) -> BytesIO:
    """A camera's file: a preview, and the sensor's data as a page below it, beside it, or alone."""
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        if where != "alone":
            own: dict[str, Any] = {"subifds": 1} if where == "below" else {}
            writer.write(SMALL, photometric="rgb", subfiletype=1, metadata=None, extratags=tags, **own)
        data = CFA if photometric == 32803 else np.dstack([CFA] * 3)
        writer.write(data, photometric=photometric, metadata=None, extratags=tags)
    file.seek(0)
    return file


@pytest.mark.parametrize("where", ["below", "beside", "alone"])
@pytest.mark.parametrize("photometric", [32803, 34892])
@pytest.mark.parametrize(("tags", "name"), [([(50706, "B", 4, (1, 4, 0, 0), True)], "DNG"), ([], "NEF")])
def test_raw_data_is_refused(where: str, photometric: int, tags: list[Any], name: str) -> None:
    with pytest.raises(ImageError, match=f"camera's raw data .*{name}.* develop it"):
        read_picture(raw(photometric, tags, where))


def test_the_preview_of_raw_data_that_pillow_has_opened_is_refused() -> None:
    with Image.open(raw(32803, [(50706, "B", 4, (1, 4, 0, 0), True)], "below")) as image:
        with pytest.raises(ImageError, match="camera's raw data"):
            read_picture(image)
        with pytest.raises(ImageError, match="camera's raw data"):
            image.save(BytesIO(), "CAE")


def test_a_picture_that_only_came_from_raw_data_is_none() -> None:
    """Editors leave DNG's tag in what they export."""
    file = pages((FULL, {"extratags": [(50706, "B", 4, (1, 4, 0, 0), True)]}))
    assert np.array_equal(read_picture(file).pixels, FULL)


@pytest.mark.parametrize(
    ("begin", "name"),
    [
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(30), "CR2"),
        (b"IIRO" + bytes(30), "ORF"),
        (b"IIU\0" + bytes(30), "RW2"),
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
        (b"II\x1a\0\0\0HEAPCCDR", "CRW"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "CR3"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"\xff\x0a\0\0\0\0", "JPEG XL"),
        (b"%PDF-1.7", "PDF"),
        (b'  <svg xmlns="x">', "SVG"),
    ],
)
def test_files_that_cannot_be_read_are_named(
    begin: bytes, name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture"
    # What the evaluator may have loaded, which reads it.
    monkeypatch.setattr(Image, "ID", [own for own in Image.ID if own != "JXL"])
    path.write_bytes(begin + bytes(100))
    with pytest.raises(ImageError, match=f"{name}.*(convert|develop) it to"):
        read_picture(path)


def test_hostile_directories_take_no_time() -> None:
    """A thousand directories that share their entries, and entries that all name the same megabyte."""
    entry = (33000).to_bytes(2, "little") + b"\1\0" + (2**20).to_bytes(4, "little") + (8).to_bytes(4, "little")
    many = b"".join((40000 + n).to_bytes(2, "little") + entry[2:] for n in range(5000))
    directory = (5000).to_bytes(2, "little") + many + (8).to_bytes(4, "little")
    page = main_page(b"II*\0\x08\0\0\0" + directory + bytes(2**20))
    assert page.notes == ()
    total = sum(len(e.data) for e in page.structure.tree(page.directory, "little").values())  # type: ignore[union-attr]
    assert total <= len(page.data)


def test_every_cut_is_an_image_error_or_a_picture() -> None:
    whole = pages((SMALL, REDUCED), (FULL, {})).getvalue()
    for length in range(0, len(whole), 97):
        with suppress(ImageError):
            read_picture(BytesIO(whole[:length]))


def test_images_opened_by_pillow_keep_their_frame() -> None:
    with Image.open(pages((SMALL, REDUCED), (FULL, {}))) as image:
        assert np.array_equal(read_picture(image).pixels, SMALL)
        image.seek(1)
        assert np.array_equal(read_picture(image).pixels, FULL)
