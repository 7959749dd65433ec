"""What a file holds beside the latents, to chunks and back; and what takes the place of damaged tiles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

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


class Extras(NamedTuple):
    """What `to_chunks` took from a picture; notes: what is missing."""

    alpha: Pixels | None
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    notes: tuple[str, ...]


def from_chunks(chunks: tuple[Chunk, ...], header: Header, damaged: int | None) -> Extras:
    """Inverse of `to_chunks`. With a number of damaged chunks, an alpha plane that is damaged as well is left out;
    with None it raises CorruptError."""
    parts = {chunk.kind: chunk.data for chunk in chunks}
    alpha = None
    if ALPHA in parts:
        try:
            alpha = decompress_plane(parts[ALPHA], header.height, header.width)
        except CorruptError:
            if damaged is None:
                raise
            damaged += 1
    notes = (f"chunks of metadata or alpha that are damaged and left out: {damaged}",) if damaged else ()
    return Extras(alpha, parts.get(ICC), parts.get(EXIF), parts.get(XMP), notes)


def blank(pixels: Pixels, top: int, left: int, header: Header, damaged: Iterable[int]) -> None:
    """Makes the pixels of damaged tiles grey, in place, in a part of the padded image that begins at `top`, `left`."""
    rectangles = tile_rectangles(header)
    for index in damaged:
        rectangle = rectangles[index]
        first, start = LATENT_SIDE * rectangle.top - top, LATENT_SIDE * rectangle.left - left
        end, stop = first + LATENT_SIDE * rectangle.height, start + LATENT_SIDE * rectangle.width
        if end > 0 and stop > 0:
            pixels[max(first, 0) : end, max(start, 0) : stop] = GREY


def damage_notes(header: Header, damaged: Iterable[int]) -> tuple[str, ...]:
    """A line for each damaged tile."""
    notes = []
    rectangles = tile_rectangles(header)
    for index in sorted(damaged):
        rectangle = rectangles[index]
        top, left = LATENT_SIDE * rectangle.top, LATENT_SIDE * rectangle.left
        bottom = min(top + LATENT_SIDE * rectangle.height, header.height)
        right = min(left + LATENT_SIDE * rectangle.width, header.width)
        notes.append(
            f"tile {index + 1} of {len(rectangles)} is damaged: rows {top} to {bottom - 1}, "
            f"columns {left} to {right - 1} are grey"
        )
    return tuple(notes)
