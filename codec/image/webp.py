"""Pixels without loss: the streams of patches, which are those of WebP's lossless format, by Pillow's libwebp.

Its version decides what a stream takes, not what it holds.
"""

from __future__ import annotations

import struct
import warnings
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...bitstream.errors import CorruptError
from ..model.arrays import Pixels

_SIGNATURE = 0x2F
_WRAPPER = struct.Struct("<4sI4s4sI")
"""What stands before the stream in a WebP file."""


def compress(pixels: Pixels, shown: npt.NDArray[np.bool_], method: int, quality: int) -> bytes:
    """The stream of pixels, uint8 [H, W, 3] or [H, W], of which those are kept that are shown, bool [H, W].

    method, 0..6, and quality, 0..100: how long is looked for a short one.
    """
    rgba = np.empty((*shown.shape, 4), np.uint8)
    np.multiply(pixels if pixels.ndim == 3 else pixels[..., None], shown[..., None], out=rgba[..., :3])
    np.multiply(shown, np.uint8(255), out=rgba[..., 3])
    file = BytesIO()
    Image.fromarray(rgba).save(file, "WEBP", lossless=True, exact=True, method=method, quality=quality)
    data = file.getvalue()
    _, _, _, kind, length = _WRAPPER.unpack_from(data)
    assert kind == b"VP8L"  # without metadata no other chunk comes first
    return data[_WRAPPER.size : _WRAPPER.size + length]


def decompress(stream: bytes, height: int, width: int) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """The pixels, uint8 [H, W, 3], and which of them are shown, bool [H, W]. Raises CorruptError for what is no stream
    of this size, before anything is allocated for it, or has pixels that are shown in part."""
    size = int.from_bytes(stream[1:5], "little")
    if len(stream) < 5 or stream[0] != _SIGNATURE or size >> 29:
        raise CorruptError("patches that are not lossless WebP")
    if (size & 0x3FFF, size >> 14 & 0x3FFF) != (width - 1, height - 1):
        raise CorruptError(f"patches of another size than {width} x {height} pixels")
    padded = stream + bytes(len(stream) % 2)
    file = _WRAPPER.pack(b"RIFF", 12 + len(padded), b"WEBP", b"VP8L", len(stream)) + padded
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the number of pixels, which the caller has accepted
            with Image.open(BytesIO(file), formats=["WEBP"]) as image:
                rgba = np.asarray(image.convert("RGBA"))
    except MemoryError:
        raise
    except Exception as error:
        # Pillow has no one exception for what libwebp refuses.
        raise CorruptError("patches that do not decode as lossless WebP") from error
    if rgba.shape != (height, width, 4):
        raise CorruptError(f"patches of another size than {width} x {height} pixels")
    alpha = rgba[..., 3]
    shown: npt.NDArray[np.bool_] = alpha == 255
    if (alpha[~shown] > 0).any():
        raise CorruptError("patches with pixels that are shown in part")
    return rgba[..., :3], shown
