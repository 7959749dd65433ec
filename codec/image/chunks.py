"""What a file holds beside the latents, to chunks and back."""

from __future__ import annotations

from typing import NamedTuple

from ...bitstream.alpha import compress_plane, decompress_plane
from ...bitstream.container import ALPHA, EXIF, ICC, XMP, Chunk, Header
from ...bitstream.errors import CorruptError
from ..model.arrays import Pixels
from .metadata import upright
from .picture import Picture


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
    exif = parts.get(EXIF)
    # Another encoder may have left an orientation in it; the pixels are upright, and viewers would turn them again.
    return Extras(alpha, parts.get(ICC), None if exif is None else upright(exif), parts.get(XMP), notes)
