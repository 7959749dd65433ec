"""PNG files chunk by chunk: what Pillow is to decode of one, and what else it says.

Pillow refuses a whole file for a wrong checksum in a remark, or for a colour profile of more than a megabyte. So the
chunks that pixels come of go to it, and the others are read here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ...bitstream.errors import ImageError
from .photoshop import iptc_of_resources, raw_profile, sound

MAGIC = b"\x89PNG\r\n\x1a\n"
_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT"}
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
# Of no meaning once the pixels are 8 bits deep: precision, background, what is found faster. sRGB is what is meant
# where nothing is said.
_SILENT = {b"sBIT", b"bKGD", b"hIST", b"sPLT", b"sRGB", b"iDOT", b"vpAg"}
_NAMES = {b"caBX": "content credentials (caBX)", b"tIME": "time of the last change (tIME)"}
XMP = "XML:com.adobe.xmp"
"""The keyword of the text that an XMP packet is in."""

_MOST = 2**26  # bytes of text and profiles of a file, inflated


@dataclass
class PngFile:
    """What is in a PNG file.

    data: the file with the chunks alone that pixels come of. info: what else it says, under Pillow's names in
    `Image.info`. notes: a line for what is damaged, or said in the file and not kept.
    """

    data: bytes
    info: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read(data: bytes) -> PngFile:
    """A PNG file, taken apart. Raises ImageError where a chunk that pixels come of has a wrong checksum."""
    file = PngFile(data)
    kept: list[bytes | memoryview] = [MAGIC]
    damaged: set[bytes] = set()
    others: list[tuple[bytes, bytes]] = []
    complete = False
    for kind, content, is_sound in _chunks(data):
        if not is_sound and kind[:1].isupper() and kind != b"IEND":
            raise ImageError(f"damaged: the checksum of its chunk {kind.decode()} is wrong")
        if not is_sound and kind != b"IEND":
            damaged.add(kind)
        elif kind in _PIXELS:
            kept += [len(content).to_bytes(4), kind, content, zlib.crc32(content, zlib.crc32(kind)).to_bytes(4)]
        else:
            others.append((kind, bytes(content)))
        if kind == b"IEND":
            complete = True
            break
    if damaged & _ANIMATION:
        raise ImageError("damaged: the checksum of a chunk of its animation is wrong")
    if damaged:
        file.notes.append(f"damaged and left out: {', '.join(sorted(map(bytes.decode, damaged)))}")
    if not complete:
        rest = data[sum(map(len, kept)) + sum(12 + len(content) for _, content in others) :]
        if rest or damaged:
            kept.append(rest)  # Pillow says what is wrong with it
        else:
            file.notes.append("the file lacks its end; all pixels are there")
            kept.append(bytes(4) + b"IEND" + zlib.crc32(b"IEND").to_bytes(4))
    file.data = b"".join(kept)
    _Metadata(file).take(others)
    return file


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, bool]]:
    """Kind, content, and whether the checksum is right, of each chunk that is whole and has a name."""
    at, view = len(MAGIC), memoryview(data)
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data) or not (kind.isascii() and kind.isalpha()):
            return
        yield kind, view[at + 8 : end - 4], zlib.crc32(view[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])
        at = end


class _Metadata:
    """Reads the chunks beside the pixels into the `info` and `notes` of a file."""

    def __init__(self, file: PngFile) -> None:
        self.info, self.notes = file.info, file.notes
        self.room = _MOST
        self.texts: list[str] = []

    def take(self, chunks: list[tuple[bytes, bytes]]) -> None:
        left_out = []
        for kind, content in chunks:
            try:
                known = self._take_one(kind, content)
            except (ValueError, IndexError, zlib.error, UnicodeError):
                self.notes.append(f"damaged and left out: {kind.decode()}")
                continue
            if not known and kind not in _SILENT:
                left_out.append(_NAMES.get(kind, kind.decode()))
        if self.texts:
            self.notes.append(f"text left out: {', '.join(dict.fromkeys(self.texts))}")
        if left_out:
            self.notes.append(f"chunks left out: {', '.join(dict.fromkeys(left_out))}")

    def _take_one(self, kind: bytes, content: bytes) -> bool:
        """Reads a chunk; whether its kind is known. Raises for a content that is not as it should be."""
        words = [int.from_bytes(content[at : at + 4]) for at in range(0, len(content), 4)]
        if kind == b"iCCP":
            _, rest = content.split(b"\0", 1)
            self.info.setdefault("icc_profile", self._inflated(rest[1:]))
        elif kind == b"eXIf":
            self.info["exif"] = content
        elif kind == b"pHYs":
            if content[8] == 1:
                self.info["dpi"] = words[0] * 0.0254, words[1] * 0.0254
            elif words[0] != words[1]:
                self.notes.append(f"pixel aspect ratio {words[1]}:{words[0]} left out")
        elif kind == b"cICP":
            if len(content) != 4:
                raise ValueError
            self.info["cicp"] = content
        elif kind == b"gAMA":
            self.info["gamma"] = words[0] / 100_000
        elif kind == b"cHRM":
            self.info["chromaticity"] = tuple(word / 100_000 for word in words[:8])
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            self._take_text(kind, content)
        else:
            if kind == b"sRGB":
                self.info["srgb"] = content[0]
            return False
        return True

    def _take_text(self, kind: bytes, content: bytes) -> None:
        word, rest = content.split(b"\0", 1)
        key = word.decode("latin-1")
        if kind == b"tEXt":
            text = rest
        elif kind == b"zTXt":
            text = self._inflated(rest[1:])
        else:
            _, _, text = rest[2:].split(b"\0", 2)
            text = self._inflated(text) if rest[0] else text
        profile = key.removeprefix("Raw profile type ").lower()
        if key == XMP:
            self.info["xmp"] = text
        elif profile == key.lower() or not self._take_profile(profile, raw_profile(text.decode("latin-1"))):
            self.texts.append(" ".join("".join(c if c.isprintable() else "?" for c in key).split()))

    def _take_profile(self, name: str, data: bytes) -> bool:
        """Reads a profile that ImageMagick writes as text, where PNG has had no chunk for it."""
        if name in ("exif", "app1") and data.startswith(b"Exif\0\0"):
            self.info.setdefault("exif", data)
        elif name == "xmp" and data:
            self.info.setdefault("xmp", data)
        elif name in ("icc", "icm") and data:
            self.info.setdefault("icc_profile", data)
        elif name == "iptc" and (iptc := iptc_of_resources(data) or sound(data)):
            self.info["iptc"] = iptc
        else:
            return False
        return True

    def _inflated(self, data: bytes) -> bytes:
        """The bytes of a zlib stream. Raises ValueError where all those of a file are too long together, so that a
        small file does not take all memory."""
        coder = zlib.decompressobj()
        found = coder.decompress(data, self.room + 1)
        self.room -= len(found)
        if self.room < 0 or not coder.eof:
            raise ValueError
        return found
