"""EXIF blocks: made to fit the pixels, taken from a TIFF file's directory, and put into one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from numbers import Integral
from typing import TYPE_CHECKING, Any

from .tiff_directory import (
    DIRECTORIES,
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
    LONG,
    RATIONAL,
    SHORT,
    Directory,
    Entry,
    Structure,
    Tree,
    new_structure,
    written,
)

if TYPE_CHECKING:
    from PIL import Image

EXIF_PREFIX = b"Exif\0\0"

ORIENTATION = 0x0112
_RESOLUTION = (282, 283, 296)  # across, down, and their unit: 2 inch, 3 cm
_PIXEL_SIDES = (40962, 40963)  # in the EXIF directory
_IMAGE_SIDES = (256, 257)
_THUMBNAIL = (513, 514)  # where in the block it is, and its length

# What describes the photograph, and not how a file stores its pixels: DocumentName, ImageDescription, Make, Model,
# PageName, Software, DateTime, Artist, HostComputer, WhitePoint, PrimaryChromaticities, two ratings, Copyright,
# ImageNumber, what Windows keeps (XPTitle to XPSubject), PrintImageMatching.
_DESCRIPTION = (
    *(269, 270, 271, 272, 285, 305, 306, 315, 316, 318, 319, 18246, 18249, 33432, 37393, 50341),
    *range(40091, 40096),
)
_DIRECTORIES = (EXIF_DIRECTORY, GPS_DIRECTORY)
# How a file stores its pixels: of no use to another. Resolution, XMP, IPTC and profile are kept in their own ways.
_LAYOUT = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 284, 288, 289, 290),
    *(291, 292, 293, 297, 317, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330, 332, 333, 334, 336, 337, 338, 339),
    *(340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 559, 32995, 32996, 32997),
    *(282, 283, 296, 700, 33723, 34377, 34675),
    59932,  # padding
}


def upright(exif: bytes) -> bytes:
    """An EXIF block with orientation 1 in place of its own, changed in place: maker notes hold offsets into the
    block."""
    block, structure = bytearray(exif), _structure(exif)
    if structure:
        _set(block, structure, structure.directory(structure.first).entries.get(ORIENTATION), 1)
    return bytes(block)


def fitted(exif: bytes, width: int, height: int) -> bytes:
    """An EXIF block, changed in place, with these sides of the image in pixels where it names them."""
    block, structure = bytearray(exif), _structure(exif)
    if structure:
        main = structure.directory(structure.first).entries
        below = structure.subdirectory(main, EXIF_DIRECTORY)
        for entries, tags in ((main, _IMAGE_SIDES), (below.entries if below else {}, _PIXEL_SIDES)):
            for tag, side in zip(tags, (width, height), strict=True):
                _set(block, structure, entries.get(tag), side)
    return bytes(block)


def without_thumbnail(exif: bytes) -> tuple[bytes, bool]:
    """An EXIF block without the small picture in it, and whether there was one. The rest stays in its place."""
    structure = _structure(exif)
    main = structure.directory(structure.first) if structure else None
    second = structure.directory(main.next) if structure and main and main.entries and main.next else None
    if not structure or not main or not second or not second.entries:
        return exif, False
    block = bytearray(exif)
    block[main.end - 4 : main.end] = bytes(4)
    begin, length = (next(iter(structure.numbers(second.entries.get(tag))), 0) for tag in _THUMBNAIL)
    if 0 < begin < begin + length <= len(block):
        block[begin : begin + length] = bytes(length)
        needed = max(_end(structure, directory) for directory in _directories(structure, main))
        first = min(second.at, begin)
        if first >= needed and begin + length + 64 >= len(block) and second.end <= len(block):
            del block[first:]
    return bytes(block), True


def resolution(exif: bytes) -> tuple[float, float] | None:
    """Dots per inch, across and down, that an EXIF block says, or None."""
    structure = _structure(exif)
    if not structure:
        return None
    entries = structure.directory(structure.first).entries
    across, down = (next(iter(structure.fractions(entries.get(tag))), None) for tag in _RESOLUTION[:2])
    unit = next(iter(structure.numbers(entries.get(_RESOLUTION[2]))), 2)
    if not across or not down or unit not in (2, 3):
        return None
    factor = 1 if unit == 2 else 2.54
    return float(across) * factor, float(down) * factor


def of_directory(structure: Structure, directory: Directory) -> tuple[bytes | None, tuple[int, ...]]:
    """An EXIF block of what a TIFF file's directory says about the photograph, or None, and the tags left out."""
    tree = structure.tree(directory, structure.order)
    kept = {tag: value for tag, value in tree.items() if tag in (*_DESCRIPTION, *_DIRECTORIES)}
    left_out = tuple(tag for tag in directory.entries if tag not in kept and tag not in _LAYOUT)
    return (new_structure(kept, structure.order) if kept else None), left_out


def tags_of(image: Image.Image) -> Image.Exif | None:
    """The tags of an open image as Pillow reads them, or None where they are damaged."""
    try:
        return image.getexif()
    except Exception:
        return None  # a damaged EXIF block says nothing, and is no reason to refuse the pixels


def of_tags(tags: Image.Exif) -> bytes | None:
    """An EXIF block of the tags that describe the photograph, as Pillow hands them on, or None."""
    tree: dict[int, Entry | Tree] = _tree({tag: tags[tag] for tag in _DESCRIPTION if tag in tags})
    for tag in _DIRECTORIES:
        below = _tree(tags.get_ifd(tag))
        if below:
            tree[tag] = below
    return new_structure(tree, "little") if tree else None


def _tree(values: Mapping[int, Any]) -> dict[int, Entry | Tree]:
    tree: dict[int, Entry | Tree] = {}
    for tag, value in values.items():
        entry = _tree(value) if isinstance(value, dict) else _entry(value)
        if entry:
            tree[tag] = entry
    return tree


def _entry(value: object) -> Entry | None:
    """An entry of a directory for a value as Pillow has it: ASCII as text with a letter for each byte, numbers alone or
    as a tuple."""
    if isinstance(value, bytes):
        return Entry(7, len(value), value) if value else None
    if isinstance(value, str):
        text = value.encode("latin-1", "replace") + b"\0"
        return Entry(2, len(text), text)
    values = value if isinstance(value, tuple) else (value,)
    if all(isinstance(each, Integral) for each in values):
        size = 2 if all(0 <= each < 2**16 for each in values) else 4
        if not all(0 <= each < 2**32 for each in values):
            return None
        return Entry(
            SHORT if size == 2 else LONG, len(values), b"".join(int(v).to_bytes(size, "little") for v in values)
        )
    with suppress(TypeError, ValueError, OverflowError, ZeroDivisionError):
        parts = [_fraction(each) for each in values]
        signed = any(above < 0 for above, _ in parts)
        words = (n.to_bytes(4, "little", signed=signed) for part in parts for n in part)
        return Entry(10 if signed else RATIONAL, len(values), b"".join(words))
    return None


def _fraction(value: Any) -> tuple[int, int]:
    """A number as a fraction: what is above and below the bar."""
    if hasattr(value, "numerator"):
        return int(value.numerator), int(value.denominator)
    return Fraction(float(value)).limit_denominator(10**6).as_integer_ratio()


def in_tiff(file: bytes, exif: bytes | None, own: Tree) -> tuple[bytes, tuple[str, ...]]:
    """A little-endian TIFF file of one page with what an EXIF block says about the photograph, and entries of `own`,
    in its directory, whose other entries stay; and a line for what of the block is left out."""
    target, source = Structure(file), _structure(exif or b"")
    tree: dict[int, Entry | Tree] = {}
    notes: list[str] = []
    if source:
        main = source.directory(source.first)
        full = source.tree(main, target.order)
        tree = {tag: value for tag, value in full.items() if tag in (*_DESCRIPTION, *_DIRECTORIES)}
        across, down, unit = (full.get(tag) for tag in _RESOLUTION)
        if all(isinstance(side, Entry) and (side.type, side.count) == (RATIONAL, 1) for side in (across, down)):
            assert across is not None and down is not None  # noqa: PT018
            tree |= {_RESOLUTION[0]: across, _RESOLUTION[1]: down}
            if isinstance(unit, Entry) and (unit.type, unit.count) == (SHORT, 1):
                tree[_RESOLUTION[2]] = unit
        left_out = [tag for tag in main.entries if tag not in tree and tag not in _LAYOUT]
        if left_out:
            notes.append(f"EXIF tags left out, which may be of another file's layout: {', '.join(map(str, left_out))}")
        if without_thumbnail(exif or b"")[1]:
            notes.append("EXIF thumbnail left out: a TIFF file would have it as a second page")
    elif exif:
        notes.append("EXIF left out: it is damaged")
    picture = target.tree(target.directory(target.first), target.order)
    at = len(file) + len(file) % 2
    directory = written(tree | dict(own) | picture, at, target.order)
    return b"".join((file[:4], at.to_bytes(4, "little"), file[8:], bytes(at - len(file)), directory)), tuple(notes)


def _structure(exif: bytes) -> Structure | None:
    try:
        return Structure(exif)
    except ValueError:
        return None  # a damaged block says nothing


def _set(block: bytearray, structure: Structure, entry: Entry | None, value: int) -> None:
    """Sets the number of an entry in its place, which has four bytes whatever its type. What is no whole number
    stays."""
    if entry is None or entry.count != 1 or entry.type not in (SHORT, LONG) or structure.is_big:
        return
    size = 2 if entry.type == SHORT and value < 2**16 else 4
    block[entry.at + 2 : entry.at + 4] = (SHORT if size == 2 else LONG).to_bytes(2, structure.order)
    block[entry.at + 8 : entry.at + 8 + size] = value.to_bytes(size, structure.order)


def _directories(structure: Structure, main: Directory) -> Iterator[Directory]:
    """A directory and those of EXIF below it."""
    yield main
    waiting = [main]
    for _ in range(8):
        below = [structure.subdirectory(d.entries, tag) for d in waiting for tag in DIRECTORIES]
        waiting = [directory for directory in below if directory]
        yield from waiting


def _end(structure: Structure, directory: Directory) -> int:
    """Where the last byte of a directory or of its values is followed by something else."""
    ends = [directory.end]
    for entry in directory.entries.values():
        if len(entry.data) > 4:
            ends.append(structure.number(entry.at + 8, 4) + len(entry.data))
    return max(ends)
