"""What a file holds beside the latents, to chunks and back; and what takes the place of damaged tiles."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ..bitstream.alpha import compress_plane, decompress_plane
from ..bitstream.container import ALPHA, EXIF, ICC, LATENT_SIDE, XMP, Chunk, Header, tile_rectangles
from ..bitstream.errors import CorruptError
from .image import Picture

Pixels = npt.NDArray[np.uint8]

GREY = 128
"""The value of pixels that are lost."""


def to_chunks(picture: Picture) -> tuple[Chunk, ...]:
    """The alpha plane and the metadata of a picture, those that there are."""
    parts = {
        ALPHA: None if picture.alpha is None else compress_plane(picture.alpha),
        ICC: picture.icc,
        EXIF: picture.exif,
        XMP: picture.xmp,
    }
    return tuple(Chunk(kind, data) for kind, data in parts.items() if data is not None)


def from_chunks(chunks: tuple[Chunk, ...], pixels: Pixels, notes: tuple[str, ...], damaged: int | None) -> Picture:
    """Inverse of `to_chunks`, around the decoded pixels. With a number of damaged chunks, an alpha plane that is
    damaged as well is left out; with None it raises CorruptError."""
    parts = {chunk.kind: chunk.data for chunk in chunks}
    alpha = None
    if ALPHA in parts:
        try:
            alpha = decompress_plane(parts[ALPHA], *pixels.shape[:2])
        except CorruptError:
            if damaged is None:
                raise
            damaged += 1
    if damaged:
        notes = (*notes, f"chunks of metadata or alpha that are damaged and left out: {damaged}")
    return Picture(pixels, alpha, parts.get(ICC), parts.get(EXIF), parts.get(XMP), notes)


def blank(pixels: Pixels, header: Header, damaged: Iterable[int]) -> tuple[str, ...]:
    """Makes the pixels of damaged tiles grey, in place; a note for each."""
    notes = []
    rectangles = tile_rectangles(header)
    for index in sorted(damaged):
        rectangle = rectangles[index]
        top, left = LATENT_SIDE * rectangle.top, LATENT_SIDE * rectangle.left
        part = pixels[top : top + LATENT_SIDE * rectangle.height, left : left + LATENT_SIDE * rectangle.width]
        part[:] = GREY
        bottom, right = top + part.shape[0], left + part.shape[1]
        notes.append(
            f"tile {index + 1} of {len(rectangles)} is damaged: rows {top} to {bottom - 1}, "
            f"columns {left} to {right - 1} are grey"
        )
    return tuple(notes)
