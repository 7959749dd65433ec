"""The samples of a PIL image as 8-bit arrays: modes, bit depths and transparent colours."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from ...bitstream.errors import ImageError

Bytes = npt.NDArray[np.uint8]

_BITS, _PHOTOMETRIC = 258, 262  # tags of a TIFF file


def samples(image: Image.Image, data: bytes | None, rawmode: str, notes: list[str]) -> tuple[Bytes, Bytes | None]:
    """The samples of a loaded image, and the alpha plane that a transparent colour makes, where it has one.

    data: the bytes of the file, where there is one; rawmode: Pillow's name of how the file stores samples.
    Returns uint8 [H, W] or [H, W, 2..4] (with an alpha channel last), and uint8 [H, W] or None.
    Appends a line to `notes` for each conversion. Raises ImageError, or whatever Pillow raises.
    """
    if _misread(image, rawmode):
        raise ImageError("16-bit TIFF with a plane for each colour cannot be read; store the colours interleaved")
    key = image.info.get("transparency")
    if rawmode in ("L;2", "L;4") and isinstance(key, int):
        key *= 85 if rawmode == "L;2" else 17  # Pillow widens the samples and leaves the key as it was
    wide = _sixteen_bits(image, data, rawmode)
    if wide is None:
        values = np.asarray(_to_plain_mode(image, notes))
        alpha = None if image.mode in ("P", "PA") else _alpha_from_key(values, key)
    else:
        alpha = _alpha_from_key(wide, key)
        # 257 is odd, so no value lies half way: this is the nearest, and never above 255.
        values = ((wide.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if wide is not None or ";16" in rawmode:
        notes.append(f"{12 if _tiff_bits(image) == 12 else 16} bit reduced to 8 bit")
    return values, alpha


def _alpha_from_key(values: npt.NDArray[Any], key: object) -> Bytes | None:
    """uint8 [H, W], 0 where grey or RGB samples equal the transparent colour `key`, else 255."""
    if values.ndim == 2 and isinstance(key, int):
        return np.where(values == key, 0, 255).astype(np.uint8)
    if values.ndim == 3 and values.shape[2] == 3 and isinstance(key, tuple) and len(key) == 3:
        return np.where((values == np.array(key)).all(axis=2), 0, 255).astype(np.uint8)
    return None


def _sixteen_bits(image: Image.Image, data: bytes | None, rawmode: str) -> npt.NDArray[np.uint16] | None:
    """uint16 [H, W] or [H, W, C] where the file holds 16 bits a sample and they can be had, else None."""
    if image.mode == "F":
        raise ImageError("floating-point samples have no defined range; convert to 8 or 16 bit first")
    if image.mode == "I":
        values = np.asarray(image)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise ImageError("32-bit samples outside 0..65535; convert to 8 or 16 bit first")
        return values.astype(np.uint16)
    if image.mode.startswith("I;16"):
        return _by_tags(image, np.asarray(image).astype(np.uint16))
    if data is None:
        return None
    # Pillow has no mode for 16-bit colour: it unpacks the high byte of each sample. Opened once more, with an
    # unpacker that takes the samples for the other byte order, it gives the low bytes; and 16-bit grey with
    # alpha, four bytes a pixel, taken for 8-bit RGBA gives both bytes of both.
    if rawmode == "LA;16B":
        four = np.asarray(_load_as(data, "RGBA"))
        return _join(four[..., 0::2], four[..., 1::2])
    if rawmode not in {f"{mode};16{order}" for mode in ("RGB", "RGBA") for order in "BLN"}:
        return None
    big = rawmode[-1] == "B" or (rawmode[-1] == "N" and sys.byteorder == "big")
    return _join(np.asarray(image), np.asarray(_load_as(data, rawmode[:-1] + ("L" if big else "B"))))


def _join(high: Bytes, low: Bytes) -> npt.NDArray[np.uint16]:
    return np.left_shift(high, 8, dtype=np.uint16) | low


def _by_tags(image: Image.Image, values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Grey from 0, black, to 65535, white: of a TIFF file Pillow hands on 12 bits, and 0 for white, as they are."""
    if _tiff_bits(image) == 12:
        values = (values << 4 | values >> 8).astype(np.uint16)  # 4095 becomes 65535
    return ~values if _tiff_tags(image).get(_PHOTOMETRIC) == 0 else values


def _tiff_bits(image: Image.Image) -> int:
    """Bits a sample of a TIFF file, 0 of other images."""
    bits: tuple[int, ...] = _tiff_tags(image).get(_BITS, (0,))
    return max(bits)


def _tiff_tags(image: Image.Image) -> Mapping[int, Any]:
    """Those of a TIFF file; other images have none, nor have copies of one."""
    return getattr(image, "tag_v2", {})


def _misread(image: Image.Image, rawmode: str) -> bool:
    """Whether this is a TIFF file of 16 bits a sample that Pillow takes, without a word, for one of 8."""
    planar = rawmode in ("R", "C")  # the unpacker of the first of several planes, for 8 bits a sample
    return planar and _tiff_bits(image) > 8


def _load_as(data: bytes, rawmode: str) -> Image.Image:
    """The file unpacked by another of Pillow's unpackers than the one it would choose."""
    image = Image.open(BytesIO(data))
    tiles = []
    for tile in image.tile:
        args = (rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode
        tiles.append(tile._replace(args=args))
    image.tile = tiles
    image.load()
    return image


def _to_plain_mode(image: Image.Image, notes: list[str]) -> Image.Image:
    """Of mode L, LA, RGB or RGBA."""
    mode = image.mode
    if mode in ("L", "LA", "RGB", "RGBA"):
        return image
    if mode in ("P", "PA"):
        notes.append("palette expanded")
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if mode == "1":
        return image.convert("L")
    if mode == "La":
        return image.convert("LA")
    if mode == "RGBa":
        return image.convert("RGBA")
    if mode == "RGBX":
        return image.convert("RGB")
    converted = _by_profile(image) if mode == "CMYK" else None
    notes.append("CMYK converted to sRGB by its ICC profile" if converted else f"{mode} converted to RGB")
    return converted or image.convert("RGB")


def _by_profile(image: Image.Image) -> Image.Image | None:
    """The CMYK image in sRGB; None without a (sound) profile or without colour management in Pillow."""
    icc = image.info.get("icc_profile")
    if not icc:
        return None
    try:
        return ImageCms.profileToProfile(image, BytesIO(icc), ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, ImportError):
        return None
