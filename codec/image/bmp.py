"""Colour profiles in BMP files, which Pillow neither reads nor writes: they follow the pixels of version 5."""

from __future__ import annotations

import struct
from typing import Any

MAGIC = b"BM"
_BEGIN = 14  # bytes of the file header, from whose end offsets of the other are counted
_PLAIN, _V4, _V5 = 40, 108, 124  # bytes of the header by versions: what Pillow writes, and those that speak of colours
_CALIBRATED, _EMBEDDED, _LINKED = 0, b"DEBM", b"KNIL"
_SPACE, _PLACE = 56, 112
_INTENT = 4  # perceptual
_D65 = (0.3127, 0.329)
_FIXED_30, _FIXED_16 = 2**30, 2**16


def read(data: bytes) -> tuple[dict[str, Any], list[str]]:
    """What a BMP file says of its colours, under Pillow's names in `Image.info`, and a line for what is not kept."""
    header = data[_BEGIN : _BEGIN + _V5]
    size = int.from_bytes(header[:4], "little")
    if size < _V4 or len(header) < size:
        return {}, []
    space = header[_SPACE : _SPACE + 4]
    if space == bytes(4):
        return _calibrated(header)
    if size < _V5 or space not in (_EMBEDDED, _LINKED):
        return {}, []
    if space == _LINKED:
        return {}, ["ICC profile left out: it is in another file"]
    place, length = struct.unpack_from("<II", header, _PLACE)
    icc = data[_BEGIN + place : _BEGIN + place + length]
    if not length or len(icc) < length:
        return {}, ["ICC profile left out: it is damaged"]
    return {"icc_profile": icc}, []


def _calibrated(header: bytes) -> tuple[dict[str, Any], list[str]]:
    """The chromaticities and exponent of a calibrated file, as `read` has them, of three end points and exponents, 0
    where they are not given. Some writers have chromaticities for the points, and the exponents that light is coded by,
    as PNG has them."""
    *points, red, green, blue = struct.unpack_from("<12I", header, _SPACE + 4)
    gammas = [value / _FIXED_16 for value in (red, green, blue)]
    sums = [sum(points[at : at + 3]) for at in (0, 3, 6)]
    info: dict[str, Any] = {}
    if all(sums):
        rgb = (points[3 * own + axis] / sums[own] for own in range(3) for axis in range(2))
        info["chromaticity"] = (*_D65, *rgb)
    if all(gammas):
        info["gamma"] = 1 / gammas[1] if gammas[1] > 1 else gammas[1]
    return info, ["exponents of red and blue taken for that of green"] if len(set(gammas)) > 1 else []


def with_profile(data: bytes, icc: bytes) -> bytes:
    """A BMP file that Pillow has written, with an ICC profile for RGB, in version 5 of the format."""
    begin, header, rest = data[:_BEGIN], data[_BEGIN : _BEGIN + _PLAIN], data[_BEGIN + _PLAIN :]
    magic, size, reserved, pixels = struct.unpack("<2sIII", begin)
    more = _V5 - _PLAIN
    begin = struct.pack("<2sIII", magic, size + more + len(icc), reserved, pixels + more)
    place = struct.pack("<4I", _INTENT, len(data) - _BEGIN + more, len(icc), 0)
    header = _V5.to_bytes(4, "little") + header[4:] + bytes(16) + _EMBEDDED + bytes(48) + place
    return b"".join((begin, header, rest, icc))
