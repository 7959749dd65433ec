"""Pictures to image files."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, PngImagePlugin

from ...bitstream.errors import ImageError
from ..options import PNG_COMPRESSION
from .metadata import EXIF_PREFIX
from .picture import Picture, to_array
from .samples import Bytes

#: Suffix of an output file to Pillow's name of the format.
FORMATS = {
    "png": "PNG",
    "jpg": "JPEG",
    "jpeg": "JPEG",
    "webp": "WEBP",
    "tif": "TIFF",
    "tiff": "TIFF",
    "bmp": "BMP",
    "ppm": "PPM",
    "pgm": "PPM",
}
_WITHOUT_ALPHA = {"JPEG", "BMP", "PPM"}

_SEGMENT = 65533  # bytes in one of a JPEG file; EXIF and XMP have one each, with a name in front, a profile up to 255
_JPEG_BYTES = {"exif": _SEGMENT - len(EXIF_PREFIX), "xmp": _SEGMENT - 29, "icc": 255 * (_SEGMENT - 14)}


def output_format(path: str | os.PathLike[str]) -> str:
    """The key of FORMATS that the suffix of an output file asks for; ImageError where it names none."""
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        asked = f"the suffix .{suffix} is not one of them" if suffix else "the name has no suffix"
        raise ImageError(f"images are written as {', '.join(FORMATS)}; {asked}")
    return suffix


def check_format(name: str) -> str:
    """The key of FORMATS that a user's word means; ImageError where it means none."""
    return output_format(f"image.{name}")


def check_holds(format: str, grey: bool, alpha: Bytes | None) -> None:
    """Raises ImageError where a format cannot hold such a picture."""
    if format == "pgm" and not grey:
        raise ImageError("PGM holds grey images only; write colour as ppm")
    # An opaque alpha plane says nothing, so leaving it out loses nothing.
    if FORMATS[format] in _WITHOUT_ALPHA and alpha is not None and alpha.min() < 255:
        raise ImageError(f"{format.upper()} cannot hold transparency; write png, webp or tiff")


def save_picture(
    picture: Picture, file: BinaryIO, format: str, png_compression: int = PNG_COMPRESSION
) -> tuple[str, ...]:
    """Write the picture, with the metadata the format can hold. `format` is a key of FORMATS; png_compression: 0..9.

    JPEG is written at quality 95 without chroma subsampling, everything else without loss. Returns a line for each
    part of the metadata that is too long for JPEG and left out. Raises ImageError where the format cannot hold the
    picture: transparency in JPEG, BMP or PPM, colour in PGM, a long side.
    """
    name = FORMATS[format]
    check_holds(format, picture.grey, picture.alpha)
    if name in _WITHOUT_ALPHA:
        picture = replace(picture, alpha=None)
    too_long: dict[str, Any] = {}
    if name == "JPEG":
        too_long = {part: None for part, most in _JPEG_BYTES.items() if len(getattr(picture, part) or b"") > most}
        picture = replace(picture, **too_long)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata that was damaged in the source already
            Image.fromarray(to_array(picture)).save(file, name, **_save_options(picture, name, png_compression))
    except Exception as exc:
        # What Pillow's encoders refuse they refuse with nearly any exception. Not so a failure to write the
        # file, which is an OSError with a number, and a lack of memory.
        if isinstance(exc, MemoryError) or (isinstance(exc, OSError) and exc.errno is not None):
            raise
        raise ImageError(f"cannot be written as {name}: {exc}") from exc
    return tuple(f"{part.upper()} left out: JPEG holds {_JPEG_BYTES[part]:,} bytes of it at most" for part in too_long)


def _save_options(picture: Picture, name: str, png_compression: int) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if name in {"PNG", "JPEG", "WEBP", "TIFF"}:
        if picture.icc:
            options["icc_profile"] = picture.icc
        if picture.exif:
            options["exif"] = EXIF_PREFIX + picture.exif
    if name in {"JPEG", "WEBP"} and picture.xmp:
        options["xmp"] = picture.xmp
    if name == "JPEG":
        options |= {"quality": 95, "subsampling": 0}
    elif name == "WEBP":
        # `exact` keeps the colours under fully transparent pixels, which the file held as well.
        options |= {"lossless": True, "exact": True}
    elif name == "PNG":
        options["compress_level"] = png_compression
        if picture.xmp:
            options["pnginfo"] = PngImagePlugin.PngInfo()
            options["pnginfo"].add_itxt("XML:com.adobe.xmp", picture.xmp)
    elif name == "TIFF" and (picture.exif or picture.xmp):
        # Pillow takes the tags of a TIFF file from here, XMP (tag 700) among them.
        exif = Image.Exif()
        with suppress(Exception):  # a damaged EXIF block is left out
            exif.load(options.get("exif", b""))
        if picture.xmp:
            exif[700] = picture.xmp
        options["exif"] = exif
    return options
