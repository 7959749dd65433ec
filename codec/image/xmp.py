"""XMP packets, made to fit the pixels."""

from __future__ import annotations

import re

_SIDES = ((rb"tiff:ImageWidth|exif:PixelXDimension", 0), (rb"tiff:ImageLength|exif:PixelYDimension", 1))


def upright(xmp: bytes) -> bytes:
    """The same packet with orientation 1, where it has one."""
    return _with(xmp, rb"tiff:Orientation", b"1")


def fitted(xmp: bytes, width: int, height: int) -> bytes:
    """The same packet with the sides of the image in pixels where it names them."""
    for names, index in _SIDES:
        xmp = _with(xmp, names, b"%d" % (width, height)[index])
    return xmp


def _with(xmp: bytes, names: bytes, number: bytes) -> bytes:
    """The packet with another number in properties of these names, which are attributes or elements."""
    begin = rb"(\b(?:" + names + rb")\s*=\s*[\"']\s*|<(?:" + names + rb")>\s*)\d+"
    return re.sub(begin, lambda match: match[1] + number, xmp)
