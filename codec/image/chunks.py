"""What a file holds beside the latents, to chunks and back."""

from __future__ import annotations

from collections.abc import Sequence

from ...bitstream.container import AS_RGB, Chunk
from ...bitstream.errors import BitstreamError
from ...bitstream.header import Header
from ..model.arrays import Pixels
from . import alpha
from .metadata import KINDS, Metadata
from .picture import Picture


def to_chunks(picture: Picture, effort: int) -> tuple[Chunk, ...]:
    """Chunks of the alpha plane and the metadata of a picture, those that there are, and of whether its grey stands for
    RGB. effort: 1..9."""
    plane = () if picture.alpha is None else (alpha.to_chunk(picture.alpha, effort),)
    as_rgb = (Chunk(AS_RGB, b""),) if picture.as_rgb else ()
    return (*plane, *as_rgb, *(Chunk(kind.chunk, data) for kind, data in picture.metadata.parts()))


def metadata_of(chunks: Sequence[Chunk]) -> Metadata:
    """The metadata among the chunks of a .cae file."""
    parts = {chunk.kind: chunk.data for chunk in chunks}
    # Another encoder may have left an orientation in it; the pixels are upright, and viewers would turn them again.
    clean = {kind.name: kind.clean(parts[kind.chunk]) for kind in KINDS if kind.chunk in parts}
    return Metadata(**{name: data for name, data in clean.items() if data})


def stands_for_rgb(chunks: Sequence[Chunk], header: Header) -> bool:
    """Whether the grey pixels of a .cae file stand for RGB of three equal channels."""
    return header.grey and any(chunk.kind == AS_RGB for chunk in chunks)


def from_chunks(
    chunks: Sequence[Chunk], header: Header, damaged: int | None
) -> tuple[Pixels | None, Metadata, tuple[str, ...]]:
    """The alpha plane, uint8 [H, W] or None, and the metadata among the chunks of a .cae file, and notes of what is
    missing.

    damaged: how many of its chunks are, an alpha plane that does not decode being left out as well; None raises
    BitstreamError for one.
    """
    plane = None
    for chunk in chunks:
        if chunk.kind in alpha.KINDS:
            try:
                plane = alpha.from_chunk(chunk, header.height, header.width)
            except BitstreamError:
                if damaged is None:
                    raise
                damaged += 1
    notes = (f"chunks of metadata or alpha that are damaged and left out: {damaged}",) if damaged else ()
    return plane, metadata_of(chunks), notes
