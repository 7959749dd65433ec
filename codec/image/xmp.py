"""XMP packets, made to fit the pixels."""

from __future__ import annotations

import re
from xml.etree import ElementTree

_SIDES = ((rb"tiff:ImageWidth|exif:PixelXDimension", 0), (rb"tiff:ImageLength|exif:PixelYDimension", 1))


def upright(xmp: bytes) -> bytes:
    """An XMP packet with orientation 1 in place of its own, where it has one."""
    return _with(xmp, rb"tiff:Orientation", b"1")


def fitted(xmp: bytes, width: int, height: int) -> bytes:
    """An XMP packet with these sides of the image in pixels where it names them."""
    for names, index in _SIDES:
        xmp = _with(xmp, names, b"%d" % (width, height)[index])
    return xmp


def _with(xmp: bytes, names: bytes, number: bytes) -> bytes:
    """An XMP packet with another number in properties of these names, which are attributes or elements."""
    begin = rb"(\b(?:" + names + rb")\s*=\s*[\"']\s*|<(?:" + names + rb")>\s*)\d+"
    return re.sub(begin, lambda match: match[1] + number, xmp)


# What a file of several pictures says of those that are not kept, by namespace: the gain map that makes it brighter,
# the list of pictures, depth.
_CLAIMS = (
    b"http://ns.adobe.com/hdr-gain-map/1.0/",
    b"http://ns.apple.com/HDRGainMap/1.0/",
    b"http://ns.google.com/photos/1.0/container/",
    b"http://ns.google.com/photos/1.0/container/item/",
    b"http://ns.google.com/photos/1.0/depthmap/",
    b"http://ns.google.com/photos/dd/1.0/device/",
)
_PROPERTIES = rb"\w+:(?:MotionPhoto\w*|MicroVideo\w*|HasExtendedXMP)"


def without_claims(xmp: bytes) -> bytes | None:
    """An XMP packet without what it says of a gain map, a depth map, a video or a longer packet in the file that it
    comes from; None where it is no XML after that."""
    if not any(uri in xmp for uri in _CLAIMS) and not re.search(_PROPERTIES, xmp):
        return xmp
    names = [_PROPERTIES]
    for uri in _CLAIMS:
        for prefix in re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + re.escape(uri) + rb"[\"']", xmp):
            names.append(re.escape(prefix) + rb":[\w.-]+")
            xmp = re.sub(rb"\s*xmlns:" + re.escape(prefix) + rb"\s*=\s*[\"']" + re.escape(uri) + rb"[\"']", b"", xmp)
    for name in names:
        xmp = re.sub(rb"\s+" + name + rb"\s*=\s*(\"[^\"]*\"|'[^']*')", b"", xmp)
        xmp = re.sub(rb"<(" + name + rb")(?:\s[^<>]*)?(?:/>|>.*?</\1\s*>)", b"", xmp, flags=re.DOTALL)
    try:
        ElementTree.fromstring(xmp)
    except ElementTree.ParseError:
        return None
    return xmp
