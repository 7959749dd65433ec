"""Pictures to image files."""

from __future__ import annotations

import os
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from ...bitstream.errors import ImageError
from ..options import PNG_COMPRESSION
from . import bmp
from .exif import in_tiff
from .metadata import save_options
from .metadata_formats import Saving
from .picture import Picture, to_array
from .pillow_settings import load_writers, pillow_settings
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
# `exact` keeps the colours under fully transparent pixels, which the file held as well.
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "BMP": {"dpi": (0, 0)},  # not said, unless it is
}


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
    """Raises ImageError where a format, a key of FORMATS, cannot hold a picture that is grey, or has this alpha
    plane."""
    if format == "pgm" and not grey:
        raise ImageError("PGM holds grey images only; write colour as ppm")
    # An opaque alpha plane says nothing, so leaving it out loses nothing.
    if FORMATS[format] in _WITHOUT_ALPHA and alpha is not None and alpha.min() < 255:
        raise ImageError(f"{format.upper()} cannot hold transparency; write png, webp or tiff")


def save_picture(
    picture: Picture, file: BinaryIO, format: str, png_compression: int = PNG_COMPRESSION
) -> tuple[str, ...]:
    """Write the picture, with the metadata the format can hold. `format` is a key of FORMATS; png_compression: 0..9.

    JPEG is written at quality 95 without chroma subsampling, everything else without loss. Returns a line for what of
    the metadata the format does not hold, or holds in another form. Raises ImageError where the format cannot hold the
    picture: transparency in JPEG, BMP or PPM, colour in PGM, a long side.
    """
    name = FORMATS[format]
    check_holds(format, picture.grey, picture.alpha)
    if name in _WITHOUT_ALPHA:
        picture = replace(picture, alpha=None)
    try:
        saving, notes = save_options(picture.metadata, name, grey=picture.grey)
        plain = {"compress_level": png_compression} if name == "PNG" else _OPTIONS.get(name, {})
        saving.options = plain | saving.options
        load_writers(name)
        with pillow_settings(0):  # it would warn of metadata that was damaged in the source already
            if name == "TIFF":
                return *notes, *_save_tiff(picture, file, saving)
            if name == "BMP" and "icc_profile" in saving.options:
                _save_bmp(picture, file, saving)
                return notes
            Image.fromarray(to_array(picture)).save(file, name, **saving.options)
    except Exception as exc:
        # What Pillow's encoders refuse they refuse with nearly any exception. Not so a failure to write the
        # file, which is an OSError with a number, and a lack of memory.
        if isinstance(exc, MemoryError) or (isinstance(exc, OSError) and exc.errno is not None):
            raise
        raise ImageError(f"cannot be written as {name}: {exc}") from exc
    return notes


def _save_bmp(picture: Picture, file: BinaryIO, saving: Saving) -> None:
    """Writes a BMP file with an ICC profile, which Pillow by itself does not."""
    plain = BytesIO()
    icc = saving.options.pop("icc_profile")
    Image.fromarray(to_array(picture)).save(plain, "BMP", **saving.options)
    file.write(bmp.with_profile(plain.getvalue(), icc))


def _save_tiff(picture: Picture, file: BinaryIO, saving: Saving) -> tuple[str, ...]:
    """Writes a TIFF file, whose pixels Pillow writes, with what of the metadata describes the photograph in its
    directory. Returns lines as `save_picture`."""
    plain = BytesIO()
    Image.fromarray(to_array(picture)).save(plain, "TIFF", **saving.options)
    data, notes = in_tiff(plain.getvalue(), saving.exif, saving.tags)
    file.write(data)
    return notes
