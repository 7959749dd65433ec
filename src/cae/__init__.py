"""cae: a learned image codec.

    data = cae.encode("photo.png", quality=50)
    image = cae.decode(data)
    print(cae.info(data))
    files = cae.Codec().encode_many(["a.png", "b.png"])

Importing it is cheap: numpy, Pillow and torch are imported by the first call that needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import errors
from .bitstream.limits import DEFAULT_MAX_PIXELS
from .codec.options import DEFAULT_EFFORT
from .errors import CaeError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    from .codec.info import Info
    from .coding import Codec, File, Source

    __version__: str

__all__ = ["CaeError", "Codec", "Info", "__version__", "decode", "encode", "errors", "info", "latents"]


def encode(
    image: Source,
    quality: float = 50,
    *,
    target_size: int | None = None,
    target_psnr: float | None = None,
    effort: int = DEFAULT_EFFORT,
    patches: str = "auto",
    exact: bool = False,
    device: str = "auto",
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> bytes:
    """The image as the bytes of a .cae file.

    image: a path, a binary file, a PIL image, or a uint8 array [H, W] (grey), [H, W, 3] or [H, W, 4] (RGBA).
    quality: 0 (smallest file) to 100 (best picture). Instead of it may be given, one of them: target_size, for the best
    file of at most so many bytes; target_psnr, for the smallest file with at least so many dB. Either takes up to eight
    codings. effort: 1 (fastest) to 9 (fewest bits for a picture as good). patches: "auto" codes text and drawings
    without loss, or below quality 60 in fewer colours, where that is better, "off" nothing, "all" everything without
    loss, whatever the quality. exact: keep the colours of fully transparent pixels, which become smooth ones otherwise.
    device: auto, cpu or cuda. max_pixels: larger images are refused before they are read; the default is that of
    Pillow.
    Raises CaeError: ImageError, InputError (TargetError for a target out of reach), WeightsError or MemoryLimitError of
    cae.errors.
    """
    from .coding import Codec

    return Codec(device, max_pixels=max_pixels).encode(
        image,
        quality,
        target_size=target_size,
        target_psnr=target_psnr,
        effort=effort,
        patches=patches,
        exact=exact,
    )


def decode(
    data: File,
    *,
    region: tuple[int, int, int, int] | None = None,
    scale: int = 1,
    device: str = "auto",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    allow_damaged: bool = False,
) -> Image.Image:
    """The image of a .cae file, of mode L, LA, RGB or RGBA, its ICC profile, EXIF, XMP, IPTC and dpi in `info`.

    data: the bytes of the file, its path, or the open binary file. region: x, y, width and height in pixels of the part
    that is wanted. scale: 1, 2, 4, 8 or 16, how many pixels to a side become one. device: auto, cpu or cuda.
    max_pixels: larger images are refused before anything is allocated; the default is Pillow's. allow_damaged: tiles
    that are damaged become grey, and a UserWarning names them.
    Raises CaeError: BitstreamError, InputError for the region or scale, WeightsError or MemoryLimitError of
    cae.errors.
    """
    from .coding import Codec

    return Codec(device, max_pixels=max_pixels)._decode(data, region, scale, allow_damaged, stacklevel=3)


def latents(data: File, *, device: str = "auto", max_pixels: int = DEFAULT_MAX_PIXELS) -> npt.NDArray[np.float32]:
    """The decoded latents of a .cae file, float32 [ceil(H/16), ceil(W/16), C], without decoding its pixels; C is the
    number of channels of the weights, and each position stands for 16x16 pixels.

    The unit of each channel is its standard deviation over photographs, in which the encoder has latents before it
    quantises them, so that arrays from files of different qualities compare: divided out are the 1/16 quantisation
    steps that latents are decoded in and the size of a step at the file's quality. The numbers are the same on all
    devices, to the last bit. A grey picture is grey RGB to the networks. Cells of 64x64 pixels that are in patches
    alone are 0, and so is all of a file without loss; alpha is not in latents.

    data: the bytes of the file, its path, or the open binary file. device: auto, cpu or cuda. max_pixels: larger images
    are refused before anything is allocated; the default is Pillow's.
    Raises CaeError: BitstreamError, InputError for the device, WeightsError or MemoryLimitError of cae.errors.
    """
    from .coding import Codec

    return Codec(device, max_pixels=max_pixels).latents(data)


def info(data: File) -> Info:
    """What a .cae file says about itself: size, mode, bytes of each part.

    data: the bytes of the file, its path, or the open binary file. Raises CaeError.
    """
    from .codec.info import info
    from .coding import file_bytes

    return info(file_bytes(data))


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cae-codec")
    if name == "Info":
        from .codec.info import Info

        return Info
    if name == "Codec":
        from .coding import Codec

        return Codec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
