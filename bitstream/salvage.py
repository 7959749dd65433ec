"""What is left of a damaged file: the records whose checksums match, and which ones are lost."""

from dataclasses import dataclass

from .container import KNOWN_KINDS, PATCHES, Chunk, Container, Tile, patches_of, skipped_cells, unpack_tile
from .errors import BitstreamError, UnknownChunkError
from .header import tile_rectangles, unpack_header
from .limits import MAX_CHUNK_BYTES, MAX_CHUNKS
from .wire import Reader


@dataclass(frozen=True)
class Salvage:
    """What could be read of a damaged file. damaged_tiles: their indices in the order of the file; in the container
    they are empty. damaged_chunks: how many chunks the container lacks. Patches are kept, damaged or not, since each of
    their parts has a checksum."""

    container: Container
    damaged_tiles: frozenset[int]
    damaged_chunks: int


def salvage(data: bytes) -> Salvage:
    """The intact records of a file whose header is intact.

    A record whose checksum does not match is left out, and reading goes on behind the length that it gives; once that
    leads out of the file, all that follows is lost, as it is where the file is cut short. Bytes after the last tile
    are ignored. Raises a BitstreamError for a damaged header, and the first error found if no tile is intact.
    """
    reader = Reader(data)
    header, has_chunks = unpack_header(reader)
    chunks, damaged_chunks = _salvage_chunks(reader) if has_chunks else ((), 0)
    # Without their map no tile can be read.
    patches = patches_of(header, chunks, allow_damaged=True)
    tiles, damaged = [], set()
    first: BitstreamError | None = None
    intact = 0
    for index, rectangle in enumerate(tile_rectangles(header)):
        start = reader.position
        try:
            tiles.append(unpack_tile(reader, rectangle, skipped_cells(patches, rectangle)))
            intact += 1
        except BitstreamError as error:
            first = first or error
            tiles.append(Tile(b"", 0))
            damaged.add(index)
            reader.position = _end(reader, start, before=0, after=8)
    if not intact and first:
        raise first
    return Salvage(Container(header, chunks, tuple(tiles)), frozenset(damaged), damaged_chunks)


def _salvage_chunks(reader: Reader) -> tuple[tuple[Chunk, ...], int]:
    start = reader.position
    count = reader.varint()
    reader.check_seal(start, "number of chunks")
    chunks: list[Chunk] = []
    for _ in range(min(count, MAX_CHUNKS)):
        start = reader.position
        kind = data = b""
        try:
            kind = reader.take(4)
            data = reader.take(reader.length("chunk", MAX_CHUNK_BYTES))
            reader.check_seal(start, "chunk")
        except BitstreamError:
            reader.position = _end(reader, start, before=4, after=4)
            if kind != PATCHES or not data:  # whose parts have checksums of their own
                continue
        chunk = Chunk(kind, data)
        if kind not in KNOWN_KINDS and chunk.mandatory:
            raise UnknownChunkError(f"unknown mandatory chunk {kind!r}")
        chunks.append(chunk)
    return tuple(chunks), count - len(chunks)


def _end(reader: Reader, start: int, *, before: int, after: int) -> int:
    """Where a record ends by its own length, which has this many bytes before it and, beside the data, after it;
    the end of the file if that is beyond."""
    size = len(reader.data)
    reader.position = min(start + before, size)
    try:
        length = reader.varint()
    except BitstreamError:
        return size
    return min(reader.position + length + after, size)
