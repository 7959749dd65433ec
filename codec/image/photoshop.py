"""Image resources of Photoshop: a list of numbered blocks in JPEG, TIFF and PNG files, of which IPTC is one."""

from __future__ import annotations

import binascii
import re

from .tiff_directory import Entry, Structure

IPTC = 0x0404
JPEG_NAME = b"Photoshop 3.0\0"
TIFF_IPTC, TIFF_RESOURCES = 33723, 34377
_MAGIC = b"8BIM"
_DATASET = b"\x1c"  # what IPTC begins with


def iptc_of_resources(resources: bytes) -> bytes | None:
    """The IPTC data in a list of image resources, or None."""
    at = 0
    while resources[at : at + 4] == _MAGIC:
        number = int.from_bytes(resources[at + 4 : at + 6])
        name = resources[at + 6] if at + 6 < len(resources) else 0
        begin = at + 7 + name + (name + 1) % 2 + 4
        length = int.from_bytes(resources[begin - 4 : begin])
        if number == IPTC:
            return sound(resources[begin : begin + length])
        at = begin + length + length % 2
    return None


def resources_of_iptc(iptc: bytes) -> bytes:
    """A list of image resources that holds IPTC data alone."""
    return b"".join((_MAGIC, IPTC.to_bytes(2), bytes(2), len(iptc).to_bytes(4), iptc, bytes(len(iptc) % 2)))


def iptc_of_tags(structure: Structure, entries: dict[int, Entry]) -> bytes | None:
    """The IPTC data in a TIFF file's directory, or None."""
    entry = entries.get(TIFF_IPTC)
    if entry:
        data = bytes(entry.data)
        if entry.type == 4 and not data.startswith(_DATASET):  # of bytes taken for numbers, in another byte order
            data = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
        if found := sound(data):
            return found
    entry = entries.get(TIFF_RESOURCES)
    return iptc_of_resources(bytes(entry.data)) if entry else None


def sound(iptc: object) -> bytes | None:
    """IPTC data without the padding at its end; None for what does not begin as such data does."""
    return iptc.rstrip(b"\0") if isinstance(iptc, bytes) and iptc.startswith(_DATASET) else None


def raw_profile(text: str) -> bytes:
    """The bytes of a profile that ImageMagick has put into a PNG file as text: a name, a length, and hexadecimal
    digits. Empty for other text."""
    match = re.fullmatch(r"\s*\S+\s+(\d+)\s+([0-9a-fA-F\s]*)", text)
    try:
        return binascii.unhexlify("".join(match[2].split()))[: int(match[1])] if match else b""
    except binascii.Error:
        return b""


def text_of_iptc(iptc: bytes) -> str:
    """IPTC data as ImageMagick puts it into a PNG file."""
    digits = binascii.hexlify(resources_of_iptc(iptc)).decode()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\niptc\n{len(digits) // 2:8}\n{lines}\n"
