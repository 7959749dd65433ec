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
from .codec.model.config import DEFAULT_EFFORT

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
    target_size: int | None = None,
    target_psnr: float | None = None,
    effort: int = DEFAULT_EFFORT,
    exact: bool = False,
    device: str = "auto",
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> bytes:
    """The image as the bytes of a .cae file.

    image: a path, a binary file, a PIL image, or a uint8 array [H, W] (grey), [H, W, 3] or [H, W, 4] (RGBA).
    quality: 0 (smallest file) to 100 (best picture). Instead of it may be given, one of them: target_size, for the best
    file of at most so many bytes; target_psnr, for the smallest file with at least so many dB. Either takes up to eight
    codings. effort: 1 (fastest) to 9 (fewest bits for a picture as good). exact: keep the colours of fully transparent
    pixels, which become smooth ones otherwise. device: auto, cpu or cuda. max_pixels: larger images are refused before
    they are read; the default is that of Pillow.
    Raises CaeError: ImageError, InputError (TargetError for a target out of reach), WeightsError or MemoryLimitError of
    cae.bitstream.errors.
    """
    from .codec.encode import rate_control
    from .codec.encode.options import EncodeOptions
    from .codec.image.picture import read_picture
    from .codec.machine.memory import memory_errors
    from .codec.select import load_encoder

    options = EncodeOptions(
        quality=quality,
        target_size=target_size,
        target_psnr=target_psnr,
        effort=effort,
        exact=exact,
        device=device,
        max_pixels=max_pixels,
    )
    picture = read_picture(image, options.max_pixels)
    with memory_errors():
        picture = rate_control.prepare(picture, options)
    return rate_control.encode(load_encoder(picture, options), picture, options).data


def decode(
    data: bytes,
    *,
    region: tuple[int, int, int, int] | None = None,
    scale: int = 1,
    device: str = "auto",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_damaged: bool = False,
) -> Image.Image:
    """The image of a .cae file, of mode L, LA, RGB or RGBA, its ICC profile, EXIF and XMP in `info`.

    region: x, y, width and height in pixels of the part that is wanted. scale: 1, 2, 4, 8 or 16, how many pixels to a
    side become one. device: auto, cpu or cuda. max_pixels: larger images are refused before anything is allocated; the
    default is Pillow's. allow_damaged: tiles that are damaged become grey, and a UserWarning names them.
    Raises CaeError: BitstreamError, InputError for the region or scale, WeightsError or MemoryLimitError of
    cae.bitstream.errors.
    """
    from .bitstream.container import read_header
    from .codec.image.picture import to_pil
    from .codec.select import load_decoder

    decoder = load_decoder(device, read_header(data))
    picture = decoder.decode(data, max_pixels=max_pixels, allow_damaged=allow_damaged, region=region, scale=scale)
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
