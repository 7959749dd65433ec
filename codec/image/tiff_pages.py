"""Which page of a TIFF file is the picture, and which files are a camera's raw data instead."""

from __future__ import annotations

from dataclasses import dataclass

from ...bitstream.errors import ImageError
from .tiff_directory import Directory, Structure

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""What TIFF and BigTIFF files begin with."""

_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, _BELOW, _DNG = (
    254,
    255,
    256,
    257,
    259,
    262,
    330,
    50706,
)
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_MASK_PHOTOMETRIC = 4
_RAW_PHOTOMETRICS = {32803, 34892}  # colour filter array, linear raw
_RAW_COMPRESSIONS = {262, 32767, 32769, 32770, 34713, 65000, 65535}  # of Kodak, Sony, Epson, Samsung, Nikon, Pentax

RAW = "a camera's raw data ({}), of which only the small preview is a picture; develop it to TIFF, PNG or JPEG first"


@dataclass(frozen=True)
class Page:
    """A TIFF file whose first page is the one to read. notes: a line where others were left out."""

    data: bytes
    structure: Structure
    directory: Directory
    notes: tuple[str, ...]


def main_page(data: bytes) -> Page:
    """The page of full resolution, as NewSubfileType has it; the first of several. Raises ImageError for raw data."""
    structure = Structure(data)

    def number(directory: Directory, tag: int, default: int = 0) -> int:
        return next(iter(structure.numbers(directory.entries.get(tag))), default)

    def is_full(directory: Directory) -> bool:
        old = _REDUCED if number(directory, _OLD_SUBFILE) == 2 else 0
        return not number(directory, _SUBFILE, old) & (_REDUCED | _MASK) and not is_mask(directory)

    def is_mask(directory: Directory) -> bool:
        return bool(number(directory, _SUBFILE) & _MASK) or number(directory, _PHOTOMETRIC) == _MASK_PHOTOMETRIC

    def is_raw(directory: Directory) -> bool:
        raw = number(directory, _PHOTOMETRIC) in _RAW_PHOTOMETRICS
        return raw or number(directory, _COMPRESSION) in _RAW_COMPRESSIONS

    def pixels(directory: Directory) -> int:
        return number(directory, _WIDTH) * number(directory, _HEIGHT)

    pages = list(structure.chain())
    places = [at for page in pages for at in structure.numbers(page.entries.get(_BELOW))[:100]]
    below = [page for page in map(structure.directory, places) if page.entries]
    full = [page for page in pages if is_full(page)]
    full_below = [page for page in below if is_full(page)]
    is_dng = any(_DNG in page.entries for page in pages)
    if data[8:10] == b"CR" and data[:4] == b"II*\0":
        raise ImageError(RAW.format("CR2"))
    if any(map(is_raw, full + full_below)) or (is_dng and not full):
        raise ImageError(RAW.format("DNG" if is_dng else "as NEF, ARW and PEF files are"))
    notes = []
    if full:
        chosen = full[0]
        largest = max(full, key=pixels)
        if len(full) > 1:
            larger = f"; another is larger, {number(largest, _WIDTH)}x{number(largest, _HEIGHT)}"
            notes.append("first of several frames taken" + (larger if pixels(largest) > pixels(chosen) else ""))
    elif full_below:
        chosen = full_below[0]
    elif pages:
        chosen = max(pages, key=pixels)
        notes.append("the file says that it holds reduced images alone: the largest of them taken")
    else:
        return Page(data, structure, structure.directory(structure.first), ())
    if any(map(is_mask, pages)):
        notes.append("page with a transparency mask left out")
    if chosen.at != structure.first:
        begin, size = (8, 8) if structure.is_big else (4, 4)
        data = data[:begin] + chosen.at.to_bytes(size, structure.order) + data[begin + size :]
    return Page(data, structure, chosen, tuple(notes))
