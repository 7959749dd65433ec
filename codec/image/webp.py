"""Pixels without loss: the streams of patches and of alpha planes, which are those of WebP's lossless format, by
Pillow's libwebp.

Its version decides what a stream takes, not what it holds.
"""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...bitstream.errors import CorruptError
from ..model.arrays import Pixels
from .pillow_settings import load_writers, open_image, pillow_settings

_SIGNATURE = 0x2F
_WRAPPER = struct.Struct("<4sI4s4sI")
"""What stands before the stream in a WebP file."""


def compress(pixels: Pixels, shown: npt.NDArray[np.bool_], method: int, quality: int) -> bytes:
    """The stream of patches: pixels, uint8 [H, W, 3] or [H, W], of which those are kept that are shown, bool [H, W].

    method, 0..6, and quality, 0..100: how long is looked for a short one.
    """
    rgba = np.empty((*shown.shape, 4), np.uint8)
    np.multiply(pixels if pixels.ndim == 3 else pixels[..., None], shown[..., None], out=rgba[..., :3])
    np.multiply(shown, np.uint8(255), out=rgba[..., 3])
    return _encoded(rgba, method, quality)


def decompress(stream: bytes, height: int, width: int) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """The pixels in a stream of patches, uint8 [H, W, 3], and which of them are shown, bool [H, W]. Raises CorruptError
    for what is no stream of this size, before anything is allocated for it, or has pixels that are shown in part."""
    rgba = _decoded(stream, height, width, "patches")
    alpha = rgba[..., 3]
    shown: npt.NDArray[np.bool_] = alpha == 255
    if (alpha[~shown] > 0).any():
        raise CorruptError("patches with pixels that are shown in part")
    return rgba[..., :3], shown


def compress_plane(plane: Pixels, method: int, quality: int) -> bytes:
    """The stream of an alpha plane, uint8 [H, W]: green, with red and blue 0. method, quality: as of `compress`."""
    rgb = np.zeros((*plane.shape, 3), np.uint8)
    rgb[..., 1] = plane
    return _encoded(rgb, method, quality)


def decompress_plane(stream: bytes, height: int, width: int) -> Pixels:
    """The alpha plane in a stream, uint8 [H, W]. Raises CorruptError for what is no stream of this size, before
    anything is allocated for it."""
    green: Pixels = _decoded(stream, height, width, "an alpha plane")[..., 1]
    return green


def _encoded(values: Pixels, method: int, quality: int) -> bytes:
    """The stream of RGB, uint8 [H, W, 3], or RGBA, uint8 [H, W, 4]."""
    load_writers("WEBP")
    file = BytesIO()
    Image.fromarray(values).save(file, "WEBP", lossless=True, exact=True, method=method, quality=quality)
    data = file.getvalue()
    _, _, _, kind, length = _WRAPPER.unpack_from(data)
    assert kind == b"VP8L"  # without metadata no other chunk comes first
    return data[_WRAPPER.size : _WRAPPER.size + length]


def _decoded(stream: bytes, height: int, width: int, what: str) -> Pixels:
    """The pixels in a stream as RGBA, uint8 [H, W, 4]. Raises CorruptError, which names `what` it is of, for what is no
    stream of this size, before anything is allocated for it."""
    size = int.from_bytes(stream[1:5], "little")
    if len(stream) < 5 or stream[0] != _SIGNATURE or size >> 29:
        raise CorruptError(f"{what} in what is not lossless WebP")
    if (size & 0x3FFF, size >> 14 & 0x3FFF) != (width - 1, height - 1):
        raise CorruptError(f"{what} of another size than {width} x {height} pixels")
    padded = stream + bytes(len(stream) % 2)
    file = _WRAPPER.pack(b"RIFF", 12 + len(padded), b"WEBP", b"VP8L", len(stream)) + padded
    try:
        # Pillow has no say in the number of pixels, which the caller has accepted.
        with pillow_settings(height * width), open_image(BytesIO(file), "WEBP") as image:
            rgba = np.asarray(image.convert("RGBA"))
    except MemoryError:
        raise
    except Exception as error:
        # Pillow has no one exception for what libwebp refuses.
        raise CorruptError(f"{what} that cannot be decoded as lossless WebP") from error
    if rgba.shape != (height, width, 4):
        raise CorruptError(f"{what} of another size than {width} x {height} pixels")
    return rgba
