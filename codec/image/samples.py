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
from .pillow_settings import open_image
from .tiff_pages import RAW

Bytes = npt.NDArray[np.uint8]

# Tags of a TIFF file.
_SUBFILE, _DNG = 254, 50706
_BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR, _PALETTE, _SAMPLE_FORMAT = 258, 262, 277, 284, 320, 339
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # samples of a colour, by PhotometricInterpretation
_SIGNED = 2


def samples(image: Image.Image, data: bytes | None, rawmode: str, notes: list[str]) -> tuple[Bytes, Bytes | None]:
    """The samples of a loaded image, and the alpha plane that a transparent colour makes, where it has one.

    data: the bytes of the file, where there is one; rawmode: Pillow's name of how the file stores samples.
    Returns uint8 [H, W] or [H, W, 2..4] (with an alpha channel last), and uint8 [H, W] or None.
    Appends a line to `notes` for each conversion. Raises ImageError, or whatever Pillow raises.
    """
    _check_tiff(image, notes)
    key = image.info.get("transparency")
    if rawmode in ("L;2", "L;4") and isinstance(key, int):
        key *= 85 if rawmode == "L;2" else 17  # Pillow widens the samples and leaves the key as it was
    wide = _sixteen_bits(image, data, rawmode)
    if wide is None:
        values = _eight_bits(image, notes)
        alpha = None if image.mode in ("P", "PA") else _alpha_from_key(values, key)
    else:
        alpha = _alpha_from_key(wide, key)
        # 257 is odd, so no value lies half way: this is the nearest, and never above 255.
        values = ((wide.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if wide is not None or ";16" in rawmode:
        notes.append(f"{12 if _tiff_bits(image) == 12 else 16} bit reduced to 8 bit")
    return values, alpha


def _check_tiff(image: Image.Image, notes: list[str]) -> None:
    """Raises ImageError for samples that Pillow takes, without a word, for others; a line for those that it leaves out.
    Pillow's name of how they are stored does not say: an image that is loaded already has none."""
    tags = _tiff_tags(image)
    count = tags.get(_SAMPLES, 1)
    if _DNG in tags and tags.get(_SUBFILE, 0) & 1:
        raise ImageError(RAW.format("DNG"))
    if tags.get(_PLANAR) == 2 and count > 1 and _tiff_bits(image) > 8:
        raise ImageError("16-bit TIFF with a plane for each colour cannot be read; store the colours interleaved")
    extra = count - _COLOURS.get(tags.get(_PHOTOMETRIC, -1), count) - (image.mode[-1] in "Aa" and image.mode != "a")
    if extra > 0:
        notes.append(
            f"{extra} {'channel' if extra == 1 else 'channels'} of a meaning that the file does not say left out"
        )


def _eight_bits(image: Image.Image, notes: list[str]) -> Bytes:
    """Samples, uint8 [H, W] or [H, W, 2..4], of an image that has no more than 8 bits a sample, or needs no more."""
    tags = _tiff_tags(image)
    if image.mode == "I":
        notes.append("integers from 0 to 255 taken for 8 bit")
        return np.asarray(image).astype(np.uint8)
    if image.mode == "P" and _PALETTE in tags:
        # By the standard entries reach 65535. In files that have bytes in their place none is above 255.
        entries = np.array(tags[_PALETTE], np.uint32).reshape(3, -1)
        notes.append("palette expanded")
        colours = entries if entries.max() < 256 else (entries + 128) // 257
        table: Bytes = colours.astype(np.uint8).T
        expanded: Bytes = table[np.asarray(image)]
        return expanded
    values: Bytes = np.asarray(_to_plain_mode(image, notes))
    if max(tags.get(_SAMPLE_FORMAT, (1,))) == _SIGNED and values.max(initial=0) > 127:
        raise ImageError(
            "samples below 0, of which is not known what is black; convert to unsigned ones of 8 or 16 bit"
        )
    return values


def _alpha_from_key(values: npt.NDArray[Any], key: object) -> Bytes | None:
    """An alpha plane, uint8 [H, W], 0 where grey or RGB samples equal the transparent colour `key`, else 255."""
    if values.ndim == 2 and isinstance(key, int):
        return np.where(values == key, 0, 255).astype(np.uint8)
    if values.ndim == 3 and values.shape[2] == 3 and isinstance(key, tuple) and len(key) == 3:
        return np.where((values == np.array(key)).all(axis=2), 0, 255).astype(np.uint8)
    return None


def _sixteen_bits(image: Image.Image, data: bytes | None, rawmode: str) -> npt.NDArray[np.uint16] | None:
    """Samples, uint16 [H, W] or [H, W, C], where the file holds 16 bits a sample and they can be had, else None."""
    if image.mode == "F":
        raise ImageError("floating-point samples have no defined range; convert to 8 or 16 bit first")
    if image.mode == "I":
        values = np.asarray(image)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise ImageError("integers outside 0..65535, of which is not known what is white; convert to 8 or 16 bit")
        # Of integers without a range of their own, such as of 32 bits, those that fit into bytes are taken for bytes.
        return values.astype(np.uint16) if values.max(initial=0) > 255 else None
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
    if rawmode not in {f"{mode};16{order}" for mode in ("RGB", "RGBA", "RGBa", "RGBX") for order in "BLN"}:
        return None
    big = rawmode[-1] == "B" or (rawmode[-1] == "N" and sys.byteorder == "big")
    stored, order, other = (rawmode[:-1], "B", "L") if big else (rawmode[:-1], "L", "B")
    if stored != "RGBa;16":
        return _join(np.asarray(image), np.asarray(_load_as(data, stored + other)))
    # Multiplied by alpha, which Pillow would undo with 8 bits of both.
    return _divided(_join(*(np.asarray(_load_as(data, f"RGBA;16{each}")) for each in (order, other))))


def _divided(wide: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """RGBA, uint16 [H, W, 4], with colours that are not multiplied by alpha, of ones that are."""
    alpha = wide[..., 3:].astype(np.uint32)
    colours = (wide[..., :3] * np.uint32(65535) + alpha // 2) // np.maximum(alpha, 1)
    return np.dstack([np.minimum(colours, 65535), alpha]).astype(np.uint16)


def _join(high: Bytes, low: Bytes) -> npt.NDArray[np.uint16]:
    return np.left_shift(high, 8, dtype=np.uint16) | low


def _by_tags(image: Image.Image, values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Grey from 0, black, to 65535, white: of a TIFF file Pillow hands on 12 bits, and 0 for white, as they are."""
    if _tiff_bits(image) == 12:
        values = (values << 4 | values >> 8).astype(np.uint16)  # 4095 becomes 65535
    return ~values if _tiff_tags(image).get(_PHOTOMETRIC) == 0 else values


def _tiff_bits(image: Image.Image) -> int:
    """How many bits a sample has in a TIFF file, 0 for other images."""
    bits: tuple[int, ...] = _tiff_tags(image).get(_BITS, (0,))
    return max(bits)


def _tiff_tags(image: Image.Image) -> Mapping[int, Any]:
    """The tags of a TIFF file; other images have none, nor have copies of one."""
    return getattr(image, "tag_v2", {})


def _load_as(data: bytes, rawmode: str) -> Image.Image:
    """A file's image unpacked by another of Pillow's unpackers than the one it would choose."""
    image = open_image(BytesIO(data))
    tiles = []
    for tile in image.tile:
        args = (rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode
        tiles.append(tile._replace(args=args))
    image.tile = tiles
    image.load()
    return image


def _to_plain_mode(image: Image.Image, notes: list[str]) -> Image.Image:
    """An image of mode L, LA, RGB or RGBA, converted where need be, with a line for that."""
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
    """A CMYK image in sRGB; None without a (sound) profile or without colour management in Pillow."""
    icc = image.info.get("icc_profile")
    if not icc:
        return None
    try:
        return ImageCms.profileToProfile(image, BytesIO(icc), ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, ImportError):
        return None
