"""Image files to pixels and back: everything that knows about modes, bit depths, orientation and metadata.

A `Picture` is what the codec sees: 8-bit grey or RGB, an alpha plane of its own, and the metadata as the
bytes they are stored as. Whatever a file holds is brought into that form once, here, and each conversion
leaves one plain line in `notes`.

What is kept and what is not:
    grey stays grey, colour stays colour, an alpha channel stays one even where it is opaque all over;
    a transparent colour (PNG tRNS, GIF) and a palette with transparency become an alpha plane;
    16-bit samples become round(value / 257), so that 0 and 65535 are exactly 0 and 255, and 12-bit ones likewise;
    integers of 32 bits are taken for 8 bits where none is above 255, for 16 bits where none is above 65535;
    CMYK, palette, YCbCr and HSV become RGB; an ICC profile of another colour space than RGB is dropped;
    the EXIF orientation is applied to the pixels and set to 1 in the EXIF and XMP data;
    of an animation or a multi-page file the first frame is taken, of a TIFF file that says so its full resolution.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ...bitstream.errors import ImageError, ImageSizeError
from ...bitstream.header import MAGIC
from ...bitstream.limits import DEFAULT_MAX_PIXELS
from . import bmp, gif, jpeg, other_files, png
from .colour import nclx_of_avif
from .metadata import Loaded, Metadata, fit_metadata, put_metadata, read_metadata
from .netpbm import map_pixels
from .orientation import orientation, turn
from .pillow_settings import open_image, pillow_settings
from .samples import Bytes, samples
from .tiff_pages import MAGICS, Page, main_page

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif"}) | {
    *(".jp2", ".tga", ".ppm", ".pgm", ".pbm", ".pnm")
}
"""What files in a folder are taken for images."""

# ICO, ICNS and BLP files hold another image, whose size Pillow compares to its own limit alone before it decodes it.
_NESTED = (b"\0\0\1\0", b"icns", b"BLP")


@dataclass(frozen=True, eq=False)
class Picture:
    """One image in the form the codec takes and gives back.

    pixels: uint8 [H, W, 3] for colour, [H, W] for grey; alpha: uint8 [H, W], not premultiplied, or None. Neither is to
    be changed. notes: one line for each conversion that reading it took, or each part of a .cae file that does not fit
    what was decoded of it or was damaged; is_damaged: whether the latter. as_rgb: whether pixels that are grey stand
    for RGB of three equal channels.
    """

    pixels: Bytes
    alpha: Bytes | None = None
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()
    is_damaged: bool = False
    as_rgb: bool = False

    @property
    def width(self) -> int:
        """Pixels across."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels down."""
        return int(self.pixels.shape[0])

    @property
    def grey(self) -> bool:
        """Whether the pixels are grey, [H, W]."""
        return self.pixels.ndim == 2

    @property
    def mode(self) -> str:
        """Pillow's name of the mode: L, LA, RGB or RGBA."""
        return ("L" if self.grey and not self.as_rgb else "RGB") + ("" if self.alpha is None else "A")


def read_picture(
    source: str | os.PathLike[str] | Image.Image | npt.NDArray[Any] | BinaryIO, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Picture:
    """The picture in a file (a path, or an open binary file), a PIL image or a uint8 array.

    Arrays are uint8 [H, W] or [H, W, 1] (grey), [H, W, 2] (grey, alpha), [H, W, 3] (RGB) or [H, W, 4] (RGBA).
    Of a PIL image the current frame is taken, as Pillow shows it: Pillow cuts 16-bit RGB to its high byte, so
    give the path of such a file for correct rounding. The image itself is not changed.

    Raises ImageError, one line, with the path in front where a path was given; ImageSizeError, before anything is
    decoded, for an image of more than `max_pixels`.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    if isinstance(source, Image.Image):
        return _from_image(source, None, max_pixels)
    if hasattr(source, "read"):
        return _from_file(source.read(), max_pixels)
    if not isinstance(source, (str, os.PathLike)):
        raise ImageError(f"an image is a path, a binary file, a PIL image or an array, not {type(source).__name__}")
    try:
        mapped = map_pixels(Path(source), max_pixels)
        return _from_file(Path(source).read_bytes(), max_pixels) if mapped is None else Picture(mapped)
    except OSError as exc:
        raise ImageError(f"{os.fspath(source)}: {exc.strerror or exc}") from exc
    except ImageError as exc:
        raise type(exc)(f"{os.fspath(source)}: {exc}") from exc


def grey_if_equal(picture: Picture) -> Picture:
    """A picture with grey pixels in place of RGB of three equal channels everywhere, which take fewer bits and come
    back without a tint; any other as it is."""
    pixels = picture.pixels
    if picture.grey or not (_equal(pixels[::61, ::61]) and _equal(pixels)):
        return picture
    return replace(picture, pixels=np.ascontiguousarray(pixels[..., 0]), as_rgb=True)


def _equal(pixels: Bytes) -> bool:
    """Whether the three channels of uint8 [H, W, 3] are equal everywhere."""
    first = pixels[..., 0]
    return np.array_equal(first, pixels[..., 1]) and np.array_equal(first, pixels[..., 2])


def to_rgb(pixels: Bytes) -> Bytes:
    """Pixels as RGB, uint8 [H, W, 3]: grey, [H, W], repeated, colour as it is."""
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def to_grey(pixels: Bytes) -> Bytes:
    """The mean of the three channels, each of which is an estimate of the same value: uint8 [H, W, 3] -> [H, W]."""
    # + 1 rounds a third to the nearest integer.
    grey: Bytes = ((pixels.sum(axis=2, dtype=np.uint16) + 1) // 3).astype(np.uint8)
    return grey


def to_array(picture: Picture) -> Bytes:
    """The samples of a picture, uint8 [H, W] (grey), [H, W, 2] (grey, alpha), [H, W, 3] (RGB) or [H, W, 4] (RGBA)."""
    if picture.alpha is None:
        return picture.pixels
    return np.dstack([picture.pixels, picture.alpha])


def to_pil(picture: Picture) -> Image.Image:
    """A PIL image of mode L, LA, RGB or RGBA; `info` has icc_profile, exif and xmp if there are any."""
    image = Image.fromarray(to_array(picture))
    put_metadata(image, picture.metadata)
    return image


def _from_array(array: npt.NDArray[Any], max_pixels: int) -> Picture:
    if array.dtype != np.uint8:
        raise ImageError(f"arrays must be uint8, not {array.dtype}")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise ImageError(f"arrays must be [H, W] or [H, W, 1..4], not {list(array.shape)}")
    _check_size(array.shape[1], array.shape[0], max_pixels)
    return _build(array.copy(), Metadata(), ())  # what a caller hands in is the caller's


def _from_file(data: bytes, max_pixels: int) -> Picture:
    if not data:
        raise ImageError("the file is empty")
    if data.startswith(MAGIC):
        raise ImageError("a .cae file already, not an image to be encoded")
    try:
        return _from_whole_file(data, max_pixels)
    except ImageSizeError:
        raise
    except ImageError:
        if not data.startswith(jpeg.MAGIC):
            raise
        with _pillow_errors(max_pixels):
            whole = jpeg.completed(data)
        if whole is None:
            raise
    picture = _from_whole_file(whole, max_pixels)
    return replace(picture, notes=("the file lacks its end marker; all pixels are there", *picture.notes))


def _from_whole_file(data: bytes, max_pixels: int) -> Picture:
    page = main_page(data) if data.startswith(MAGICS) else None
    file = png.read(data) if data.startswith(png.MAGIC) else png.PngFile(data)
    cicp = nclx_of_avif(data)
    file.info |= {"cicp": cicp} if cicp else {}
    for own in (bmp, gif):
        if data.startswith(own.MAGIC):
            file.info, file.notes = own.read(data)
    data = page.data if page else file.data
    with _pillow_errors(max_pixels, data) as is_strict:
        if data.startswith(_NESTED) and not is_strict:
            raise ImageSizeError(
                f"it holds another image, of which cannot be said whether it has {max_pixels:,} pixels at most; "
                "convert it to PNG first"
            )
        image = open_image(BytesIO(data))
    if image.format in ("EPS", "IPTC"):
        raise ImageError("EPS is a program, and IPTC may hold one, which is not run here; convert it to an image first")
    image.info.update(file.info)
    with image:
        return _from_image(image, data, max_pixels, page if image.format == "TIFF" else None, file.notes)


def _from_image(
    image: Image.Image, data: bytes | None, max_pixels: int, page: Page | None = None, said: Sequence[str] = ()
) -> Picture:
    """The picture in a PIL image. data: the bytes of the file where the image was opened from one and not loaded yet;
    page: of a TIFF file; said: lines about the file."""
    notes: list[str] = [*said, *(page.notes if page else ())]
    _check_size(*image.size, max_pixels)
    with _pillow_errors(max_pixels):
        # Not how many: to count them takes time by the square of their number.
        animated = data is not None and page is None and getattr(image, "is_animated", False)
        tile = next(iter(getattr(image, "tile", ())), None)
        args = tile.args if tile else None
        rawmode = args[0] if isinstance(args, tuple) and args else args
        rawmode = rawmode if isinstance(rawmode, str) else ""
        before = orientation(image)
        image.load()
        _check_size(*image.size, max_pixels)  # some formats have another size once they are loaded
        left_to_do = orientation(image)  # Pillow turns TIFF files itself while loading
        values, alpha = samples(image, data, rawmode, notes)
        loaded = Loaded(image, (page.structure, page.directory) if page else None, notes)
        metadata = read_metadata(loaded)
    if animated:
        notes.insert(0, "first of several frames taken")
    turned = before != 1
    if turned:
        notes.append("EXIF orientation applied")
    grey = values.ndim == 2 or values.shape[2] < 3
    if metadata.icc and metadata.icc[16:20] not in ((b"GRAY", b"RGB ") if grey else (b"RGB ",)):
        metadata = replace(metadata, icc=None)
        if image.mode != "CMYK":  # there the conversion has its own line
            notes.append(f"ICC profile dropped: it is not one for {'grey' if grey else 'RGB'}")
    values = turn(values, left_to_do)
    if alpha is not None:
        values = np.dstack([values, turn(alpha, left_to_do)])
    metadata, dropped = fit_metadata(
        metadata, values.shape[1], values.shape[0], moved="the picture was turned" if turned else ""
    )
    notes += dropped
    return _build(values, metadata, tuple(notes))


def _build(values: Bytes, metadata: Metadata, notes: tuple[str, ...]) -> Picture:
    """A picture of samples, uint8 [H, W] or [H, W, 1..4], split into pixels and alpha."""
    if values.size == 0:
        raise ImageError(f"the image has no pixels ({values.shape[1]}x{values.shape[0]})")
    alpha = None
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values, alpha = values[..., :-1], np.array(values[..., -1], order="C")
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    return Picture(np.ascontiguousarray(values), alpha, metadata, notes)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageSizeError(f"{width} x {height} pixels, at most {max_pixels:,} are accepted")


@contextmanager
def _pillow_errors(max_pixels: int, data: bytes = b"") -> Iterator[bool]:
    """Turn whatever Pillow raises into an ImageError. data: the file. Yields whether Pillow itself refuses what is
    above `max_pixels`."""
    try:
        with pillow_settings(max_pixels) as is_strict:
            yield is_strict
    except ImageError:
        raise
    except UnidentifiedImageError as exc:
        raise ImageError(other_files.name(data) or "not an image in a format that can be read here") from exc
    except Image.DecompressionBombError as exc:
        raise ImageSizeError(f"more than the {max_pixels:,} pixels that are accepted") from exc
    except MemoryError as exc:
        raise ImageError("too large for the memory of this machine") from exc
    except Exception as exc:
        # Its decoders raise nearly anything on a damaged file: OSError, SyntaxError, struct.error, ...
        raise ImageError(f"damaged or cut short ({' '.join(str(exc).split()) or type(exc).__name__})") from exc
