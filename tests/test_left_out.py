"""What a file holds beside one picture is named, and its XMP does not claim it any more."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cae.codec.image import xmp
from cae.codec.image.picture import read_picture

RGB = np.random.default_rng(19).integers(0, 256, (16, 16, 3), dtype=np.uint8)
HEAD = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description '
)
TAIL = b"</r:Description></r:RDF></x:xmpmeta>"
GAIN = (
    HEAD
    + b'xmlns:g="http://ns.adobe.com/hdr-gain-map/1.0/" g:Version="1.0" g:GainMapMax=\'2.5\' '
    + b'xmlns:C="http://ns.google.com/photos/1.0/container/" '
    + b'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" '
    + b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="kept" tiff:Orientation="1" xmlns:tiff="t">'
    + b"<g:OffsetSDR><r:Seq><r:li>0</r:li></r:Seq></g:OffsetSDR>"
    + b'<C:Directory><r:Seq><r:li><C:Item Item:Semantic="GainMap"/>'
    + b"</r:li></r:Seq></C:Directory><dc:creator>me</dc:creator>"
    + TAIL
)
MOTION = (
    HEAD
    + b'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1" '
    + b'GCamera:Burst="b">'
    + TAIL
)
EXTENDED = HEAD + b'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="AB" >' + TAIL


def segment(number: int, content: bytes) -> bytes:
    return b"\xff" + bytes([0xE0 + number]) + (len(content) + 2).to_bytes(2) + content


def jpeg(extra: bytes = b"", packet: bytes | None = None, **options: bytes) -> BytesIO:
    file = BytesIO()
    named = {"xmp": packet} if packet else {}
    Image.fromarray(RGB).save(file, "JPEG", extra=extra, **named, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    ("packet", "gone", "kept", "note"),
    [
        (GAIN, (b"g:", b"GainMap", b"Directory", b"container"), (b'dc:title="kept"', b"me</dc:creator>"), "gain map"),
        (MOTION, (b"MotionPhoto",), (b'GCamera:Burst="b"',), "video of a motion photo"),
    ],
)
def test_claims_are_taken_out(packet: bytes, gone: tuple[bytes, ...], kept: tuple[bytes, ...], note: str) -> None:
    picture = read_picture(jpeg(packet=packet))
    found = picture.metadata.xmp
    assert found is not None
    assert not any(word in found for word in gone)
    assert all(word in found for word in kept)
    assert note in picture.notes[0]


def test_packets_without_claims_stay() -> None:
    plain = HEAD + b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="Directory of GainMaps">' + TAIL
    assert xmp.without_claims(plain) is plain
    assert xmp.without_claims(b"not XML, MotionPhoto") == b"not XML, MotionPhoto"
    assert b"HasExtendedXMP" not in (xmp.without_claims(EXTENDED) or b"HasExtendedXMP")
    broken = GAIN.replace(b"<dc:creator>", b"")
    assert xmp.without_claims(broken) is None
    assert "XMP dropped: it speaks of what is left out" in read_picture(jpeg(packet=broken)).notes


@pytest.mark.parametrize(
    ("extra", "note"),
    [
        (segment(2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4)), "gain map for high dynamic range"),
        (segment(11, b"JP" + bytes(30)), "content credentials, or other boxes (JUMBF)"),
        (segment(1, b"FLIR\0" + bytes(9)), "thermal data (FLIR)"),
        (segment(1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)), "extended XMP"),
        (segment(7, b"something"), "APP7"),
    ],
)
def test_segments_that_are_not_kept_are_named(extra: bytes, note: str) -> None:
    assert read_picture(jpeg(extra)).notes == (f"left out: {note}",)


def test_comments_are_named() -> None:
    assert read_picture(jpeg(comment=b"words")).notes == ("left out: comment",)
    file = BytesIO()
    Image.fromarray(RGB).quantize(8).save(file, "GIF", comment=b"words")
    assert "left out: comment" in read_picture(BytesIO(file.getvalue())).notes
    assert read_picture(jpeg()).notes == ()
