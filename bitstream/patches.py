"""Patches: parts of an image beside the networks, and the cells that the networks do not code (FORMAT.md, section 6).

Bytes and integers only: the streams of pixels, one an area, are made and read elsewhere.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .deflate import deflate, inflate
from .errors import BitstreamError, CorruptError
from .limits import MAX_CHUNK_BYTES
from .rectangle import Rectangle
from .wire import Reader, sealed, varint

AREA = 4096
"""Pixels to a side of an area, which has one stream."""

CELL = 64
"""Pixels to a side of a cell, which has one position of hyper-latents."""

Map = NDArray[np.bool_]
"""bool [ceil(H / 64), ceil(W / 64)]: which cells the networks do not code."""


class Patches(NamedTuple):
    """skipped: a `Map`; streams: one for each rectangle of `areas`, empty where it has no patches; exact: whether
    patches are what the encoder was given; damaged: indices of streams that are lost, which are empty then."""

    skipped: Map
    streams: tuple[bytes, ...]
    exact: bool
    damaged: frozenset[int] = frozenset()


def areas(height: int, width: int) -> list[Rectangle]:
    """The areas of an image, in pixels, row by row from the top left."""
    return list(Rectangle(0, 0, height, width).parts(AREA, AREA))


def pixels_in(cells: Map, side: int, area: Rectangle) -> Map:
    """Which pixels of an area of an image are in the cells that a map marks, of side x side pixels: bool [H, W]."""
    own = area.covering(side)
    wide = cells[own.top : own.bottom, own.left : own.right].repeat(side, axis=0).repeat(side, axis=1)
    found: Map = wide[area.within(own.scaled(side))]
    return found


def pack_patches(skipped: Map, streams: Sequence[bytes], *, exact: bool) -> bytes:
    """The data of the chunk."""
    packed = bytes([not exact]) + deflate(np.packbits(skipped).tobytes())
    return b"".join(sealed(varint(len(part)) + part) for part in (packed, *streams))


def unpack_patches(data: bytes, height: int, width: int, *, allow_damaged: bool = False) -> Patches:
    """The inverse, for an image of this size. Raises BitstreamError: CorruptError, TruncatedError, LimitError.

    allow_damaged: a stream that is damaged is named instead, and so is what follows one whose length is.
    """
    reader = Reader(data)
    first = _take(reader)
    if first[:1] not in (b"\0", b"\1"):
        raise CorruptError("patches that are neither exact nor changed")
    skipped = _unpack_map(first[1:], -(-height // CELL), -(-width // CELL))
    streams: list[bytes] = []
    damaged = set()
    for index in range(len(areas(height, width))):
        start = reader.position
        try:
            streams.append(_take(reader))
        except BitstreamError:
            if not allow_damaged:
                raise
            damaged.add(index)
            streams.append(b"")
            reader.position = _end(reader, start)
    if reader.left and not allow_damaged:
        raise CorruptError(f"{reader.left} bytes after the last patches")
    return Patches(skipped, tuple(streams), first[:1] == b"\0", frozenset(damaged))


def _take(reader: Reader) -> bytes:
    start = reader.position
    part = reader.take(reader.length("stream of patches", MAX_CHUNK_BYTES))
    reader.check_seal(start, "patches")
    return part


def _end(reader: Reader, start: int) -> int:
    """Where a record ends by its own length, or all does."""
    reader.position = start
    try:
        return min(reader.varint() + reader.position + 4, len(reader.data))
    except BitstreamError:
        return len(reader.data)


def _unpack_map(packed: bytes, rows: int, columns: int) -> Map:
    inflated = inflate(packed, -(-rows * columns // 8), "the map of the patches")
    bits = np.unpackbits(np.frombuffer(inflated, np.uint8)).astype(bool)
    if bits[rows * columns :].any():
        raise CorruptError("the map of the patches has bits beyond its last cell")
    found: Map = bits[: rows * columns].reshape(rows, columns)
    return found
