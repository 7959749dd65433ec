"""The header of a .cae file, version 1, to bytes and back, and the grids that follow from it (FORMAT.md, sections 1 and
2)."""

import struct
from dataclasses import dataclass

from .errors import CaeError, CorruptError, InputError, LimitError, NotCaeError, UnsupportedVersionError
from .limits import MAX_PIXELS, MAX_SIDE, MAX_TILE
from .rectangle import Rectangle
from .wire import Reader, sealed, varint

MAGIC = b"\x89cae"  # the first byte is no ASCII, so that no text file passes
VERSION = 1

LATENT_SIDE = 16  # pixels per latent position, in each direction
TILE_UNIT = 64  # pixels; images are padded to multiples of it, tiles are measured in it
DEFAULT_TILE = 16  # 1024 pixels

# 32 bits of a SHA-256 guard against mistakes, not against malice: among 1000 sets of weights two agree with
# a probability of 1e-4, and even then the checksum of the latents tells that the wrong ones were used.
FINGERPRINT_BYTES = 4

_FLAG_GREY = 0x01
_FLAG_CHUNKS = 0x02
_FIXED = struct.Struct(f"<4sBBBB{FINGERPRINT_BYTES}s")  # magic, version, flags, row, tile, fingerprint


@dataclass(frozen=True)
class Header:
    """What must be known before anything is decoded.

    width, height: pixels, 1 .. MAX_SIDE, at most MAX_PIXELS together.
    grey: the decoded image has one colour channel instead of three.
    rate_index: index of the quality, 0 .. 255: a row of the rate tables in the weights.
    fingerprint: the first FINGERPRINT_BYTES bytes of the SHA-256 that identifies the weights.
    tile: side of a tile in units of TILE_UNIT pixels, 1 .. MAX_TILE.
    """

    width: int
    height: int
    grey: bool
    rate_index: int
    fingerprint: bytes
    tile: int = DEFAULT_TILE


def latent_size(header: Header) -> tuple[int, int]:
    """Rows and columns of latent positions of the padded image: multiples of 4."""
    per_unit = TILE_UNIT // LATENT_SIDE
    return per_unit * -(-header.height // TILE_UNIT), per_unit * -(-header.width // TILE_UNIT)


def all_latents(header: Header) -> Rectangle:
    """All latent positions of the padded image."""
    return Rectangle(0, 0, *latent_size(header))


def tile_side(header: Header) -> int:
    """Latent positions to a side of a tile."""
    return header.tile * TILE_UNIT // LATENT_SIDE


def tile_grid(header: Header) -> tuple[int, int]:
    """Rows and columns of tiles; the last of each may be smaller than the others."""
    side = header.tile * TILE_UNIT
    return -(-header.height // side), -(-header.width // side)


def tile_rectangles(header: Header) -> list[Rectangle]:
    """The latent positions of each tile, row by row from the top left; they cover the latents without overlap."""
    side = tile_side(header)
    return list(all_latents(header).parts(side, side))


def read_header(data: bytes) -> Header:
    """The header alone, its checksum verified; `data` may end anywhere after it. Raises as `unpack` does."""
    return unpack_header(Reader(data))[0]


def pack_header(header: Header, *, has_chunks: bool) -> bytes:
    """The bytes of a header. Raises InputError for a field out of range. has_chunks: whether chunks follow it."""
    _check_header(header, rule=InputError, limit=InputError)
    flags = (_FLAG_GREY if header.grey else 0) | (_FLAG_CHUNKS if has_chunks else 0)
    fixed = _FIXED.pack(MAGIC, VERSION, flags, header.rate_index, header.tile, header.fingerprint)
    return sealed(fixed + varint(header.width) + varint(header.height))


def unpack_header(reader: Reader) -> tuple[Header, bool]:
    """The header, and whether chunks follow it."""
    start = reader.data[: len(MAGIC)]
    if not start or not MAGIC.startswith(start):
        raise NotCaeError("not a .cae file" if start else "no data")
    # The version comes before the length: another version may have another header.
    version = reader.data[len(MAGIC) : len(MAGIC) + 1]
    if version and version[0] != VERSION:
        raise UnsupportedVersionError(f"format version {version[0]}, only {VERSION} can be read")
    _, _, flags, row, tile, fingerprint = _FIXED.unpack(reader.take(_FIXED.size))
    width, height = reader.varint(), reader.varint()
    reader.check_seal(0, "header")
    if flags & ~(_FLAG_GREY | _FLAG_CHUNKS):
        raise CorruptError(f"reserved flags are set: {flags:#04x}")
    header = Header(width, height, bool(flags & _FLAG_GREY), row, fingerprint, tile)
    _check_header(header, rule=CorruptError, limit=LimitError)
    return header, bool(flags & _FLAG_CHUNKS)


def _check_header(header: Header, *, rule: type[CaeError], limit: type[CaeError]) -> None:
    # `pack` and `unpack` have the same rules, but other errors: either the call is wrong, or the file is.
    if header.width < 1 or header.height < 1:
        raise rule(f"an image of {header.width} x {header.height} pixels")
    if max(header.width, header.height) > MAX_SIDE or header.width * header.height > MAX_PIXELS:
        raise limit(f"{header.width} x {header.height} pixels, at most {MAX_SIDE} a side and {MAX_PIXELS} are allowed")
    if not 0 <= header.rate_index <= 255:
        raise rule(f"the quality row {header.rate_index} is not in 0 .. 255")
    if not 1 <= header.tile <= MAX_TILE:
        raise rule(f"the tile side {header.tile} is not in 1 .. {MAX_TILE}")
    if len(header.fingerprint) != FINGERPRINT_BYTES:
        raise rule(f"a fingerprint of {len(header.fingerprint)} bytes instead of {FINGERPRINT_BYTES}")
