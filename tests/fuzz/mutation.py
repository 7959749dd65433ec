"""Damage for .cae files: changed bytes, and changed bytes whose checksums are made to match again, so that what stands
behind the checksums is reached as well."""

from __future__ import annotations

import random
import zlib

INTERESTING = (
    b"\0",
    b"\1",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\x80\x80\x40",
    b"ALPH",
    b"ALPW",
    b"PTCH",
    b"iccp",
)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """The data with one to four places changed, removed, inserted or exchanged."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at : at + rng.randint(1, 8)] = b""
        elif kind == 2:
            out[at:at] = rng.randbytes(rng.randint(1, 8))
        elif kind == 3:
            out[at : at + rng.randint(1, 4)] = rng.choice(INTERESTING)
        elif kind == 4:
            del out[at:]
        else:
            start = rng.randrange(len(out) + 1)
            out[at:at] = out[start : start + rng.randint(1, 40)]
    return bytes(out)


def repair(data: bytes) -> bytes:
    """The file with the checksum of each record as it should be, those within patches among them, as far as its lengths
    lead; all of it is kept."""
    out = bytearray(data)
    at = _seal(out, 0, _skip_varint(out, _skip_varint(out, 12)))
    if len(out) > 5 and out[5] & 2:
        start = at
        count = _varint(out, at)
        at = _seal(out, start, _skip_varint(out, at))
        for _ in range(min(count, 64)):
            if out[at : at + 4] == b"PTCH":
                end = min(_skip_varint(out, at + 4) + _varint(out, at + 4), len(out))
                part = _skip_varint(out, at + 4)
                while part < end:
                    part = _seal(out, part, _skip_varint(out, part) + _varint(out, part), end)
            at = _seal(out, at, _skip_varint(out, at + 4) + _varint(out, at + 4))
    while at < len(out):
        at = _seal(out, at, _skip_varint(out, at) + 4 + _varint(out, at))
    return bytes(out)


def _varint(data: bytearray, at: int) -> int:
    value = 0
    for index, byte in enumerate(data[at : at + 5]):
        value |= (byte & 127) << 7 * index
        if byte < 128:
            break
    return value


def _skip_varint(data: bytearray, at: int) -> int:
    while at < len(data) and data[at] > 127:
        at += 1
    return at + 1


def _seal(data: bytearray, start: int, end: int, limit: int | None = None) -> int:
    """Closes the record, if its end is within the file, or a limit in it; where the next one begins."""
    if end + 4 <= (len(data) if limit is None else limit):
        data[end : end + 4] = zlib.crc32(data[start:end]).to_bytes(4, "little")
    return end + 4
