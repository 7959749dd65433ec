"""cae: a learned image codec.

    data = cae.encode("photo.png", quality=50)
    image = cae.decode(data)
    print(cae.info(data))

Importing it is cheap: numpy, Pillow and torch are imported by the first call that needs them.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO

from .bitstream.errors import CaeError
from .bitstream.limits import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    from .codec.info import Info

    __version__: str

__all__ = ["CaeError", "Info", "__version__", "decode", "encode", "info"]


def encode(
    image: str | os.PathLike[str] | Image.Image | npt.NDArray[np.uint8] | BinaryIO,
    quality: float = 50,
    *,
    device: str = "auto",
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> bytes:
    """The image as the bytes of a .cae file.

    image: a path, a binary file, a PIL image, or a uint8 array [H, W] (grey), [H, W, 3] or [H, W, 4] (RGBA).
    quality: 0 (smallest file) to 100 (best picture). device: auto, cpu or cuda.
    max_pixels: larger images are refused before they are read; the default is Pillow's.
    Raises CaeError: ImageError, InputError, WeightsError or MemoryLimitError of cae.bitstream.errors.
    """
    from .codec.image import read_picture
    from .codec.pipeline import load_codec

    picture = read_picture(image, max_pixels)
    return load_codec(device).encode(picture, quality)


def decode(
    data: bytes, *, device: str = "auto", max_pixels: int = DEFAULT_MAX_PIXELS, allow_damaged: bool = False
) -> Image.Image:
    """The image of a .cae file, of mode L, LA, RGB or RGBA, its ICC profile, EXIF and XMP in `info`.

    device: auto, cpu or cuda. max_pixels: larger images are refused before anything is allocated for them;
    the default is Pillow's. allow_damaged: tiles that are damaged become grey, and a UserWarning names them.
    Raises CaeError: BitstreamError, WeightsError or MemoryLimitError of cae.bitstream.errors.
    """
    from .bitstream.container import read_header
    from .codec.image import to_pil
    from .codec.pipeline import load_codec

    codec = load_codec(device, read_header(data).fingerprint)
    picture = codec.decode(data, max_pixels=max_pixels, allow_damaged=allow_damaged)
    if picture.notes:
        warnings.warn("; ".join(picture.notes), stacklevel=2)
    return to_pil(picture)


def info(data: bytes) -> Info:
    """What a .cae file says about itself: size, mode, bytes of each part. Raises CaeError."""
    from .codec.info import info

    return info(data)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cae-codec")
    if name == "Info":
        from .codec.info import Info

        return Info
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
