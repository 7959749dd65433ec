"""Binary PGM and PPM of 8 bits, whose rows need not be in memory: what they are in the file is what the codec takes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from .samples import Bytes

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([56])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"255\s")
_LONGEST_HEADER = 1024


def map_pixels(path: Path, max_pixels: int) -> Bytes | None:
    """A file's pixels, uint8 [H, W, 3] or [H, W], mapped, not read; None for a file of another kind, and for one that
    is too short or has no or more than `max_pixels` pixels, so that Pillow can say what is wrong with it.

    The file must stay as it is while they are used. Raises OSError.
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        header = _HEADER.match(file.read(_LONGEST_HEADER))
    if header is None:
        return None
    width, height = int(header[2]), int(header[3])
    shape = (height, width) if header[1] == b"5" else (height, width, 3)
    size = width * height * (1 if header[1] == b"5" else 3)
    if not 0 < width * height <= max_pixels or path.stat().st_size < header.end() + size:
        return None
    return np.memmap(path, np.uint8, "r", header.end(), shape)


def file_header(width: int, height: int, *, grey: bool) -> bytes:
    """The header of a PGM or PPM file of 8 bits; rows of bytes follow."""
    return b"P%d\n%d %d\n255\n" % (5 if grey else 6, width, height)
