"""The resolution of a picture: how many pixels an inch of it has, on paper."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

_UNIT = 10_000  # a whole number of pixels a metre or a centimetre is a whole number of these an inch
_PAIR = struct.Struct("<II")


def packed(dpi: Any) -> bytes | None:
    """The bytes by which a .cae file stores dots per inch, across and down; None for what is no resolution."""
    try:
        across, down = (round(Fraction(float(side)) * _UNIT) for side in dpi)
        # What Pillow calls 1 dpi is a TIFF file that does not say.
        return _PAIR.pack(across, down) if min(across, down) > 0 and (across, down) != (_UNIT, _UNIT) else None
    except (TypeError, ValueError, OverflowError, struct.error):
        return None


def unpacked(data: bytes) -> tuple[Fraction, Fraction]:
    """Dots per inch, across and down, of the bytes in a .cae file."""
    across, down = _PAIR.unpack(data)
    return Fraction(across, _UNIT), Fraction(down, _UNIT)


def sound(data: bytes) -> bytes:
    """The bytes of a resolution in a .cae file, or none where they are no resolution."""
    return data if len(data) == _PAIR.size and all(_PAIR.unpack(data)) else b""


def of_info(format: str | None, info: dict[Any, Any]) -> tuple[bytes | None, str]:
    """The bytes of the resolution that Pillow's `Image.info` has for a format, or None, and a line for what is left
    out."""
    if format not in ("JPEG", "MPO"):
        return packed(info.get("dpi")), ""
    # What Pillow calls dpi may come of EXIF, which is kept, or of nothing.
    unit, sides = info.get("jfif_unit"), info.get("jfif_density", (1, 1))
    if unit in (1, 2):
        return packed(side * (1 if unit == 1 else 2.54) for side in sides), ""
    uneven = unit == 0 and sides[0] != sides[1] and min(sides) > 0
    return None, f"pixel aspect ratio {sides[0]}:{sides[1]} left out" if uneven else ""
