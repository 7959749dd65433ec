"""JPEG files: those that end too early, and what their segments hold beside one picture."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

MAGIC = b"\xff\xd8\xff"
_END = b"\xff\xd9"
_FILLS = (b"", b"\x55" * 32, b"\xaa\x33" * 16)


def completed(data: bytes) -> bytes | None:
    """A JPEG file with an end, of one that lacks only that; None where more of it is missing.

    A decoder makes up what it lacks, of whatever follows. So where all is there, it does not matter what follows.
    """
    # Not above: `cae info` knows all kinds of metadata, and does without Pillow.
    from .pillow_settings import open_image

    data = data.removesuffix(b"\xff")
    decoded = []
    for fill in _FILLS:
        try:
            with open_image(BytesIO(data + fill + _END)) as image:
                decoded.append(image.tobytes())
        except Exception:
            return None
    return data + _END if decoded[0] == decoded[1] == decoded[2] else None


def quantisation(data: bytes) -> list[int] | None:
    """The first quantisation table, 64 numbers, of a file that begins as JPEG files do; None for other files, and where
    there is none."""
    from .pillow_settings import open_image

    if not data.startswith(MAGIC):
        return None
    try:
        with open_image(BytesIO(data)) as image:
            tables: dict[int, Sequence[int]] = getattr(image, "quantization", {})
            return list(tables[min(tables)]) if tables else None
    except Exception:
        return None


# Segments that are kept, or of no meaning once the pixels are decoded, by what they begin with.
_KNOWN = (
    ("APP0", (b"JFIF\0", b"JFXX\0")),
    ("APP1", (b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0")),
    ("APP2", (b"ICC_PROFILE\0",)),
    ("APP13", (b"Photoshop 3.0\0", b"Adobe_CM")),
    ("APP14", (b"Adobe",)),
)
_NAMED = (
    (b"urn:iso:std:iso:ts:21496:-1", "gain map for high dynamic range"),
    (b"MPF\0", "further pictures of the file (gain map, preview)"),
    (b"http://ns.adobe.com/xmp/extension/", "extended XMP"),
    (b"JP", "content credentials, or other boxes (JUMBF)"),
    (b"FLIR", "thermal data (FLIR)"),
)


def left_out(segments: Sequence[tuple[str, bytes]], xmp: bytes) -> list[str]:
    """Names of what is not kept of the segments of a JPEG file, Pillow's `applist`; xmp: its XMP packet."""
    found = ["gain map for high dynamic range"] if b"hdr-gain-map" in xmp or b"HDRGainMap" in xmp else []
    for name, content in segments:
        if any(name == known and content.startswith(begins) for known, begins in _KNOWN):
            continue
        own = next((title for begin, title in _NAMED if content.startswith(begin)), name)
        found.append("comment" if name == "COM" else own)
    video = b"MotionPhoto" in xmp or b"MicroVideo" in xmp
    return list(dict.fromkeys([*found, *(["video of a motion photo"] if video else [])]))
