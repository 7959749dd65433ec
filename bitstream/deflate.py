"""Raw DEFLATE streams (RFC 1951), without zlib's wrapper: what they are in has a checksum of its own."""

import zlib

from .errors import CorruptError

_RAW = -15


def deflate(data: bytes | memoryview) -> bytes:
    """The stream of some bytes."""
    coder = zlib.compressobj(9, zlib.DEFLATED, _RAW)
    return coder.compress(data) + coder.flush()


def inflate(stream: bytes, expected: int, what: str) -> bytes:
    """The bytes of a stream; never inflates to more than one beyond those that are expected.

    Raises CorruptError, naming `what` it is of, unless it is one whole stream of exactly `expected` bytes.
    """
    coder = zlib.decompressobj(_RAW)
    try:
        inflated = coder.decompress(stream, expected + 1)
    except zlib.error as error:
        raise CorruptError(f"{what} does not inflate: {error}") from error
    if len(inflated) != expected or not coder.eof or coder.unused_data:
        raise CorruptError(f"{what} is not one stream of {expected} bytes")
    return inflated
