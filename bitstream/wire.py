"""Records of bytes: integers of variable length, and a checksum at the end (FORMAT.md, section 1)."""

import zlib

from .errors import CorruptError, LimitError, TruncatedError


def varint(value: int) -> bytes:
    """An integer in 0 .. 2^32 - 1 as 1 to 5 bytes.

    7 bits a byte, the lowest first, with the top bit set on all but the last.
    """
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def sealed(record: bytes) -> bytes:
    """A record followed by its CRC-32."""
    return record + zlib.crc32(record).to_bytes(4, "little")


class Reader:
    """A cursor over bytes: each method takes from where the last one stopped.

    All of them raise TruncatedError, before anything is allocated, rather than read past the end.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    @property
    def left(self) -> int:
        """The number of bytes not yet taken."""
        return len(self.data) - self.position

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size > self.left:
            raise TruncatedError(f"{size} bytes are expected at {self.position}, {self.left} are left")
        start = self.position
        self.position += size
        return self.data[start : self.position]

    def u32(self) -> int:
        """The next 4 bytes as an integer, the lowest first."""
        return int.from_bytes(self.take(4), "little")

    def varint(self) -> int:
        """The next integer that `varint` wrote. Raises CorruptError for a form that it does not write."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise CorruptError("an integer is written longer than necessary")
                if value >= 2**32:
                    break
                return value
        raise CorruptError("an integer has more than 32 bits")

    def length(self, name: str, limit: int) -> int:
        """The next integer, a number of bytes that follow it. Raises LimitError beyond `limit`."""
        value = self.varint()
        if value > limit:
            raise LimitError(f"a {name} of {value} bytes, at most {limit} are allowed")
        if value > self.left:
            raise TruncatedError(f"a {name} of {value} bytes, {self.left} are left")
        return value

    def check_seal(self, start: int, name: str) -> None:
        """Takes the CRC-32 of all from `start` to here. Raises CorruptError if it does not match."""
        actual = zlib.crc32(memoryview(self.data)[start : self.position])
        if actual != self.u32():
            raise CorruptError(f"the checksum of the {name} does not match")
