"""What GIF files say beside their pixels, in application extensions, of which Pillow hands out next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .photoshop import iptc_of_resources

MAGIC = b"GIF8"
_ICC, _XMP, _RESOURCES, _IPTC = b"ICCRGBG1012", b"XMP DataXMP", b"MGK8BIM0000", b"MGKIPTC0000"
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")  # how often an animation is shown
_XMP_END = b"\1\xff\xfe\xfd"  # of a packet, which is not in blocks: for those who skip blocks
_EXTENSION, _IMAGE, _APPLICATION, _TEXT = 0x21, 0x2C, 0xFF, 0x01
_SQUARE = (0, 49)  # of pixels: not said, 1:1


def read(data: bytes) -> tuple[dict[str, Any], list[str]]:
    """What of a GIF file is kept beside its pixels, under Pillow's names in `Image.info`, and a line for what is not.
    Comments are left to Pillow."""
    info: dict[str, Any] = {}
    left_out: list[str] = []
    for kind, name, content, raw in _extensions(data):
        if kind == _TEXT:
            left_out.append("plain text")
        elif name == _ICC:
            info.setdefault("icc_profile", content)
        elif name == _XMP:
            info.setdefault("xmp", raw.partition(_XMP_END)[0])
        elif name == _IPTC:
            info.setdefault("iptc", content)
        elif name == _RESOURCES and (iptc := iptc_of_resources(content)):
            info.setdefault("iptc", iptc)
        elif name not in _LOOPS:
            left_out.append(f"data of {name.decode('ascii', 'replace').strip()!r}")
    if data[12:13] and data[12] not in _SQUARE:
        left_out.append(f"pixel aspect ratio {(data[12] + 15) / 64:g}")
    return info, [f"left out: {', '.join(dict.fromkeys(left_out))}"] if left_out else []


def _extensions(data: bytes) -> Iterator[tuple[int, bytes, bytes, bytes]]:
    """Kind, name, content, and the bytes that this is in, of each extension of an application or of plain text."""
    at = 13 + _palette_bytes(data[10:11])
    while at + 1 < len(data):
        if data[at] == _EXTENSION:
            kind = data[at + 1]
            blocks, begin, end = _blocks(data, at + 2)
            if kind in (_APPLICATION, _TEXT) and blocks:
                yield kind, blocks[0], b"".join(blocks[1:]), data[begin:end]
            at = end
        elif data[at] == _IMAGE:
            _, _, at = _blocks(data, at + 11 + _palette_bytes(data[at + 9 : at + 10]))
        else:
            return


def _palette_bytes(flags: bytes) -> int:
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 128 else 0


def _blocks(data: bytes, at: int) -> tuple[list[bytes], int, int]:
    """The blocks of data that begin at a place, where the second one does, and the end behind the last, empty one."""
    blocks: list[bytes] = []
    begin = at
    while at < len(data) and data[at]:
        blocks.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
        begin = at if len(blocks) == 1 else begin
    return blocks, begin, at + 1
