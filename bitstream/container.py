"""The .cae container, version 1: header (header.py), chunks and tiles to bytes and back (FORMAT.md, sections 1 to 5).

`pack` and `unpack` are inverses, and so are their parts, which stand side by side below.
Nothing is allocated for a length that the data at hand cannot hold.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import CaeError, CorruptError, InputError, LimitError, TruncatedError, UnknownChunkError
from .header import LATENT_SIDE, TILE_UNIT, Header, pack_header, tile_grid, tile_rectangles, unpack_header
from .limits import FREE_CELLS, MAX_CHUNK_BYTES, MAX_CHUNKS, MAX_PAYLOAD_BYTES
from .patches import Patches, unpack_patches
from .rectangle import Rectangle
from .wire import Reader, sealed, varint

_MIN_TILE_BYTES = 1 + 4 + 4  # length, checksum of the latents, checksum of the record

# Kinds of chunk known to version 1. As in PNG, an upper-case first letter says that a decoder which
# does not know the kind must refuse the file.
ALPHA, ALPHA_STREAMS, PATCHES = b"ALPH", b"ALPW", b"PTCH"
ICC, EXIF, XMP = b"iccp", b"exif", b"xmpp"
IPTC, DENSITY, CICP, AS_RGB = b"iptc", b"dens", b"cicp", b"rgbo"
KNOWN_KINDS = frozenset({ALPHA, ALPHA_STREAMS, PATCHES, ICC, EXIF, XMP, IPTC, DENSITY, CICP, AS_RGB})


@dataclass(frozen=True)
class Tile:
    """A coded tile. payload: what the entropy coder wrote; latents_checksum: `latents_checksum` of its latents."""

    payload: bytes
    latents_checksum: int


@dataclass(frozen=True)
class Chunk:
    """Data that goes with the pixels. kind: 4 ASCII letters, mandatory if the first is upper case; data: any bytes."""

    kind: bytes
    data: bytes

    @property
    def mandatory(self) -> bool:
        """Whether a decoder that does not know the kind must refuse the file."""
        return self.kind[:1].isupper()


@dataclass(frozen=True)
class Container:
    """A whole file: one tile for each rectangle of `tile_rectangles(header)`, in that order."""

    header: Header
    chunks: tuple[Chunk, ...]
    tiles: tuple[Tile, ...]

    @property
    def has_patches(self) -> bool:
        """Whether a part of the image is in patches."""
        return any(chunk.kind == PATCHES for chunk in self.chunks)


def patches_of(header: Header, chunks: Sequence[Chunk], *, allow_damaged: bool = False) -> Patches | None:
    """The patches of a file, None if it has none. Raises as `unpack_patches`."""
    for chunk in chunks:
        if chunk.kind == PATCHES:
            return unpack_patches(chunk.data, header.height, header.width, allow_damaged=allow_damaged)
    return None


def skipped_cells(patches: Patches | None, rectangle: Rectangle) -> NDArray[np.bool_] | None:
    """Which cells of a tile the networks do not code: bool [h/4, w/4], None for none."""
    if patches is None:
        return None
    per_unit = TILE_UNIT // LATENT_SIDE
    cells = Rectangle(*(value // per_unit for value in rectangle))
    own = patches.skipped[cells.top : cells.bottom, cells.left : cells.right]
    return own if own.any() else None


def is_enough(payload_bytes: int, rectangle: Rectangle, skipped: NDArray[np.bool_] | None = None) -> bool:
    """Whether a payload of this length may stand for a tile of this size; skipped: of `skipped_cells`. One that is
    skipped altogether takes none, and no work."""
    cells = rectangle.height * rectangle.width // (TILE_UNIT // LATENT_SIDE) ** 2
    return cells <= FREE_CELLS + payload_bytes or (skipped is not None and bool(skipped.all()))


def latents_checksum(latents: NDArray[np.int32]) -> int:
    """CRC-32 of a tile's decoded latents.

    latents: int32 [h, w, C], hashed as little-endian words in this order.
    Raises InputError for another dtype or number of axes.
    """
    if latents.dtype != np.int32 or latents.ndim != 3:
        raise InputError(f"latents must be int32 [h, w, C], not {latents.dtype} {list(latents.shape)}")
    return zlib.crc32(np.ascontiguousarray(latents, dtype="<i4").data)


def pack(container: Container) -> bytes:
    """The bytes of a file. Raises InputError for a field out of range or a wrong number of tiles."""
    header, chunks, tiles = container.header, container.chunks, container.tiles
    parts = [pack_header(header, has_chunks=bool(chunks))]
    _check_chunks(chunks, rule=InputError, limit=InputError, unknown=InputError)
    rows, columns = tile_grid(header)
    if len(tiles) != rows * columns:
        raise InputError(f"{len(tiles)} tiles for a grid of {rows} x {columns}")
    if chunks:
        parts.append(_pack_chunks(chunks))
    patches = patches_of(header, chunks)
    for tile, rectangle in zip(tiles, tile_rectangles(header), strict=True):
        parts.append(_pack_tile(tile, rectangle, skipped_cells(patches, rectangle)))
    return b"".join(parts)


def unpack(data: bytes) -> Container:
    """The parsed file, every checksum verified. Raises a subclass of BitstreamError, nothing else.

    Optional chunks of unknown kinds are kept, so that packing again loses nothing.
    """
    reader = Reader(data)
    header, has_chunks = unpack_header(reader)
    chunks = unpack_chunks(reader) if has_chunks else ()
    rows, columns = tile_grid(header)
    if rows * columns * _MIN_TILE_BYTES > reader.left:
        raise TruncatedError(f"no room for {rows * columns} tiles in the {reader.left} bytes that are left")
    patches = patches_of(header, chunks)
    tiles = tuple(unpack_tile(reader, own, skipped_cells(patches, own)) for own in tile_rectangles(header))
    if reader.left:
        raise CorruptError(f"{reader.left} bytes after the last tile")
    return Container(header, chunks, tiles)


def _pack_chunks(chunks: tuple[Chunk, ...]) -> bytes:
    parts = [sealed(varint(len(chunks)))]
    parts.extend(sealed(chunk.kind + varint(len(chunk.data)) + chunk.data) for chunk in chunks)
    return b"".join(parts)


def unpack_chunks(reader: Reader) -> tuple[Chunk, ...]:
    """All chunks of a file, which follow its header, with every checksum verified."""
    start = reader.position
    count = reader.varint()
    reader.check_seal(start, "number of chunks")
    if not count:
        raise CorruptError("chunks are announced, but there are none")
    if count > MAX_CHUNKS:
        raise LimitError(f"{count} chunks, at most {MAX_CHUNKS} are allowed")
    chunks = []
    for _ in range(count):
        start = reader.position
        kind = reader.take(4)
        data = reader.take(reader.length("chunk", MAX_CHUNK_BYTES))
        reader.check_seal(start, "chunk")
        chunks.append(Chunk(kind, data))
    _check_chunks(chunks, rule=CorruptError, limit=LimitError, unknown=UnknownChunkError)
    return tuple(chunks)


def _pack_tile(tile: Tile, rectangle: Rectangle, skipped: NDArray[np.bool_] | None) -> bytes:
    if len(tile.payload) > MAX_PAYLOAD_BYTES:
        raise InputError(f"a payload of {len(tile.payload)} bytes, at most {MAX_PAYLOAD_BYTES} are allowed")
    if not is_enough(len(tile.payload), rectangle, skipped):
        raise InputError(_too_short(len(tile.payload), rectangle))
    if not 0 <= tile.latents_checksum < 2**32:
        raise InputError(f"the checksum {tile.latents_checksum} is not a number of 32 bits")
    return sealed(varint(len(tile.payload)) + tile.latents_checksum.to_bytes(4, "little") + tile.payload)


def unpack_tile(reader: Reader, rectangle: Rectangle, skipped: NDArray[np.bool_] | None) -> Tile:
    """The next tile, of this size, its checksum verified. skipped: of `skipped_cells`."""
    start = reader.position
    length = reader.length("payload", MAX_PAYLOAD_BYTES)
    if not is_enough(length, rectangle, skipped):
        raise LimitError(_too_short(length, rectangle))
    checksum = reader.u32()
    payload = reader.take(length)
    reader.check_seal(start, "tile")
    return Tile(payload, checksum)


def _too_short(payload_bytes: int, rectangle: Rectangle) -> str:
    width, height = LATENT_SIDE * rectangle.width, LATENT_SIDE * rectangle.height
    return f"{payload_bytes} bytes are too few for a tile of {width} x {height} pixels"


def _check_chunks(
    chunks: Sequence[Chunk], *, rule: type[CaeError], limit: type[CaeError], unknown: type[CaeError]
) -> None:
    if len(chunks) > MAX_CHUNKS:
        raise limit(f"{len(chunks)} chunks, at most {MAX_CHUNKS} are allowed")
    seen: set[bytes] = set()
    for chunk in chunks:
        kind, data = chunk.kind, chunk.data
        if len(kind) != 4 or not (kind.isascii() and kind.isalpha()):
            raise rule(f"the kind of a chunk must be 4 ASCII letters, not {kind!r}")
        if kind in seen:
            raise rule(f"two chunks of kind {kind.decode('ascii')}")
        if kind in KNOWN_KINDS:
            seen.add(kind)
        elif chunk.mandatory:
            raise unknown(f"unknown mandatory chunk {kind.decode('ascii')}")
        if len(data) > MAX_CHUNK_BYTES:
            raise limit(f"a chunk of {len(data)} bytes, at most {MAX_CHUNK_BYTES} are allowed")
    if {ALPHA, ALPHA_STREAMS} <= seen:
        raise rule("two alpha planes")
