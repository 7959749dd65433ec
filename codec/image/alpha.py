"""Alpha planes to chunks and back: by DEFLATE or by lossless WebP, whichever is smaller."""

from __future__ import annotations

import numpy as np

from ...bitstream.alpha import compress_plane, decompress_plane, pack_streams, unpack_streams
from ...bitstream.container import ALPHA, ALPHA_STREAMS, Chunk
from ...bitstream.patches import areas
from ...bitstream.rectangle import Rectangle
from ..model.arrays import Pixels
from . import webp

KINDS = (ALPHA, ALPHA_STREAMS)
"""The kinds of chunk that hold an alpha plane; a file has one of them at most."""

SETTINGS = ((4, 75), *[(6, 75)] * 7, (6, 100))
"""Method and quality of libwebp at efforts 1 to 9. For planes of 512x512 they take 0.1, 0.3 and 1 to 8 s; against the
first, the second is 3 % smaller where alpha is a picture and 9 % in a logo, the third another 1 to 14 %."""


def to_chunk(plane: Pixels, effort: int) -> Chunk:
    """The chunk of an alpha plane, uint8 [H, W], in the form that is smaller. effort: 1..9."""
    whole = Rectangle(0, 0, *plane.shape)
    streams = [webp.compress_plane(plane[area.within(whole)], *SETTINGS[effort - 1]) for area in areas(*plane.shape)]
    chunks = Chunk(ALPHA, compress_plane(plane)), Chunk(ALPHA_STREAMS, pack_streams(streams))
    return min(chunks, key=lambda chunk: len(chunk.data))


def from_chunk(chunk: Chunk, height: int, width: int) -> Pixels:
    """The alpha plane in a chunk of one of KINDS, uint8 [height, width]. Raises BitstreamError."""
    if chunk.kind == ALPHA:
        return decompress_plane(chunk.data, height, width)
    plane, whole = np.empty((height, width), np.uint8), Rectangle(0, 0, height, width)
    for area, stream in zip(areas(height, width), unpack_streams(chunk.data, height, width), strict=True):
        plane[area.within(whole)] = webp.decompress_plane(stream, area.height, area.width)
    return plane
