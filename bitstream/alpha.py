"""The alpha plane, 8 bits without loss (FORMAT.md, section 6): filtered rows and DEFLATE, or streams of pixels, one an
area, which are made and read elsewhere."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .deflate import deflate, inflate
from .errors import CorruptError, InputError
from .limits import MAX_CHUNK_BYTES
from .patches import areas
from .wire import Reader, varint

_NONE, _LEFT, _UP = 0, 1, 2


def compress_plane(plane: NDArray[np.uint8]) -> bytes:
    """The chunk of a plane, uint8 [H, W], with H and W at least 1. Raises InputError for anything else."""
    if plane.dtype != np.uint8 or plane.ndim != 2 or not plane.size:
        raise InputError(f"a plane must be uint8 [H, W], not {plane.dtype} {list(plane.shape)}")
    height, width = plane.shape
    above = np.zeros_like(plane)
    above[1:] = plane[:-1]
    before = np.zeros_like(plane)
    before[:, 1:] = plane[:, :-1]

    # Filter 0 stands from the start; another one replaces it in the rows where it is strictly smaller.
    rows = np.empty((height, 1 + width), np.uint8)
    rows[:, 0] = _NONE
    rows[:, 1:] = plane
    least = _magnitude(plane)
    for kind, prediction in ((_LEFT, before), (_UP, above)):
        residual = plane - prediction  # wraps around, modulo 256
        size = _magnitude(residual)
        better = size < least
        rows[better, 0] = kind
        rows[better, 1:] = residual[better]
        least[better] = size[better]
    return deflate(rows.data)


def decompress_plane(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """The plane, uint8 [height, width].

    Raises CorruptError unless `data` is one whole stream of exactly height * (1 + width) bytes with
    known filters; never inflates to more than one byte beyond. Raises InputError for an empty plane.
    """
    if height < 1 or width < 1:
        raise InputError(f"a plane of {height} x {width}")
    inflated = inflate(data, height * (1 + width), "the plane")
    rows = np.frombuffer(inflated, np.uint8).reshape(height, 1 + width)
    kinds, plane = rows[:, 0], rows[:, 1:].copy()
    if kinds.max() > _UP:
        raise CorruptError(f"unknown filter {kinds.max()}")
    left = kinds == _LEFT
    plane[left] = np.cumsum(plane[left], axis=1, dtype=np.uint8)
    for y in np.flatnonzero(kinds[1:] == _UP) + 1:  # each such row needs the finished one above
        plane[y] += plane[y - 1]
    return plane


def pack_streams(streams: Sequence[bytes]) -> bytes:
    """The data of a chunk of streams, one for each of `patches.areas`, in that order."""
    return b"".join(varint(len(stream)) + stream for stream in streams)


def unpack_streams(data: bytes, height: int, width: int) -> list[bytes]:
    """The inverse, for an image of this size. Raises BitstreamError: CorruptError, TruncatedError, LimitError."""
    reader = Reader(data)
    streams = [reader.take(reader.length("stream of alpha", MAX_CHUNK_BYTES)) for _ in areas(height, width)]
    if reader.left:
        raise CorruptError(f"{reader.left} bytes after the last stream of alpha")
    return streams


def _magnitude(residual: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sum of |residual| of each row, residuals read as signed: int64 [H]."""
    sums: NDArray[np.int64] = np.minimum(residual, -residual).sum(axis=1, dtype=np.int64)
    return sums
