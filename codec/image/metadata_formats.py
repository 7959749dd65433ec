"""How each kind of metadata goes into each format of image files, where Pillow does not write it by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import colour, density, photoshop, png
from .tiff_directory import Entry

_TIFF_XMP = 700

_PNG_ICC = 2**20  # Pillow's MAX_TEXT_CHUNK


@dataclass
class Saving:
    """Arguments of Pillow's `Image.save` for a format, and what of the metadata goes another way.

    format: Pillow's name. grey: whether a profile is to be one for grey. exif, tags: of a TIFF file, whose directory
    gets them after Pillow has written it.
    """

    format: str
    grey: bool
    options: dict[str, Any] = field(default_factory=dict)
    exif: bytes | None = None
    tags: dict[int, Entry] = field(default_factory=dict)


def exif_to_tiff(saving: Saving, data: bytes) -> None:
    """Has what an EXIF block says put into the directory of a TIFF file."""
    saving.exif = data


def xmp_to_tiff(saving: Saving, data: bytes) -> None:
    """Puts an XMP packet into a tag of a TIFF file."""
    saving.tags[_TIFF_XMP] = Entry(1, len(data), data)


def xmp_to_png(saving: Saving, data: bytes) -> None:
    """Puts an XMP packet into a text chunk of a PNG file."""
    _png_info(saving).add_itxt(png.XMP, data)


def _png_info(saving: Saving) -> Any:
    from PIL.PngImagePlugin import PngInfo  # not above: `cae info` knows all kinds, and does without

    return saving.options.setdefault("pnginfo", PngInfo())


def cicp_to_png(saving: Saving, data: bytes) -> None:
    """Puts CICP code points into a chunk of a PNG file."""
    _png_info(saving).add(b"cICP", data)


def put_icc(saving: Saving, data: bytes) -> str | None:
    """Has an ICC profile written, made one for grey or for RGB as the format wants it. Returns a line where it is made
    one, or left out."""
    fitted = colour.fitted(data, grey=saving.grey)
    target = "grey" if saving.grey else "RGB"
    if fitted is None:
        return f"ICC profile left out: it is not one for {target}"
    if saving.format == "PNG" and len(fitted) > _PNG_ICC:
        return f"ICC profile left out: many programs refuse a PNG file with more than {_PNG_ICC:,} bytes of it"
    saving.options["icc_profile"] = fitted
    return None if fitted == data else f"ICC profile made one for {target}"


def iptc_to_jpeg(saving: Saving, data: bytes) -> None:
    """Puts IPTC data into a segment of a JPEG file."""
    segment = photoshop.JPEG_NAME + photoshop.resources_of_iptc(data)
    saving.options["extra"] = b"\xff\xed" + (len(segment) + 2).to_bytes(2) + segment


def iptc_to_png(saving: Saving, data: bytes) -> None:
    """Puts IPTC data into a text chunk of a PNG file, as ImageMagick does."""
    _png_info(saving).add_text("Raw profile type iptc", photoshop.text_of_iptc(data), zip=True)


def iptc_to_tiff(saving: Saving, data: bytes) -> None:
    """Puts IPTC data into a tag of a TIFF file."""
    saving.tags[photoshop.TIFF_IPTC] = Entry(7, len(data), data)


def density_to_jpeg(saving: Saving, data: bytes) -> None:
    """Puts a resolution into a JPEG file, in whole dots per inch."""
    across, down = (min(max(round(side), 1), 65535) for side in density.unpacked(data))
    saving.options["dpi"] = across, down


def density_to_tiff(saving: Saving, data: bytes) -> None:
    """Puts a resolution into tags of a TIFF file."""
    for tag, side in zip((282, 283), density.unpacked(data), strict=True):
        saving.tags[tag] = Entry(5, 1, side.numerator.to_bytes(4, "little") + side.denominator.to_bytes(4, "little"))
    saving.tags[296] = Entry(3, 1, b"\2\0")  # inches
