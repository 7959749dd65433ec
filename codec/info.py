"""What a .cae file says about itself, without decoding it: no torch, no weights needed."""

from __future__ import annotations

from dataclasses import dataclass

from ..bitstream.container import ALPHA, ALPHA_STREAMS, AS_RGB, PATCHES, Container, patches_of, unpack
from ..bitstream.header import TILE_UNIT, VERSION
from .image.metadata import KINDS
from .model.rate import quality_of, rate_index_of
from .model.weights import is_installed

_NAMES = {ALPHA: "alpha", ALPHA_STREAMS: "alpha", PATCHES: "patches", AS_RGB: "as_rgb"} | {
    kind.chunk: kind.name for kind in KINDS
}


@dataclass(frozen=True)
class Info:
    """Properties of a .cae file. Sizes are in bytes, lengths in pixels.

    mode: what it decodes to, L, LA, RGB or RGBA. coded_grey: whether its pixels are coded as grey, which they may be
    where it decodes to RGB of three equal channels. row: the rate index, 0..255. tile_bytes: what the networks coded.
    patches_exact: whether patches, if there are any, are what the encoder was given to the last bit. lossless: whether
    they are and all pixels are in them. chunk_bytes: sizes of the chunks, under alpha, patches, the names of
    `metadata.KINDS`, or an unknown chunk's four letters. overhead_bytes: what is left of file_bytes, namely the header,
    lengths and checksums.
    """

    version: int
    width: int
    height: int
    mode: str
    coded_grey: bool
    row: int
    tiles: int
    tile_side: int
    file_bytes: int
    tile_bytes: int
    patches_exact: bool
    lossless: bool
    chunk_bytes: dict[str, int]
    overhead_bytes: int
    fingerprint: str
    weights_installed: bool

    @property
    def quality(self) -> float:
        """A quality, 0..100, that gives the file's rate index: a whole number if there is one."""
        whole = round(quality_of(self.row))
        return whole if rate_index_of(whole) == self.row else quality_of(self.row)

    @property
    def bpp(self) -> float:
        """Bits per pixel of the whole file."""
        return 8 * self.file_bytes / (self.width * self.height)

    @property
    def ratio(self) -> float:
        """How many times smaller the file is than its decoded 8-bit pixels, alpha among them."""
        return self.width * self.height * len(self.mode) / self.file_bytes


def info(data: bytes) -> Info:
    """Parse a file and verify its checksums, without decoding it. Raises BitstreamError."""
    return describe(unpack(data), len(data))


def describe(container: Container, file_bytes: int) -> Info:
    """The properties of a parsed file that has this many bytes."""
    header = container.header
    chunks: dict[str, int] = {}
    for chunk in container.chunks:  # unknown kinds may occur more than once
        name = _NAMES.get(chunk.kind, chunk.kind.decode("ascii"))
        chunks[name] = chunks.get(name, 0) + len(chunk.data)
    patches = patches_of(header, container.chunks)
    tile_bytes = sum(len(tile.payload) for tile in container.tiles)
    return Info(
        version=VERSION,
        width=header.width,
        height=header.height,
        coded_grey=header.grey,
        mode=("L" if header.grey and "as_rgb" not in chunks else "RGB") + ("A" if "alpha" in chunks else ""),
        row=header.rate_index,
        tiles=len(container.tiles),
        tile_side=header.tile * TILE_UNIT,
        file_bytes=file_bytes,
        tile_bytes=tile_bytes,
        patches_exact=patches is None or patches.exact,
        lossless=patches is not None and patches.exact and bool(patches.skipped.all()),
        chunk_bytes=chunks,
        overhead_bytes=file_bytes - tile_bytes - sum(chunks.values()),
        fingerprint=header.fingerprint.hex(),
        weights_installed=is_installed(header.fingerprint),
    )
