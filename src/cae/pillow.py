"""Pillow reads and writes .cae files once this module is imported.

    import cae.pillow
    image = Image.open("photo.cae")
    image.save("small.cae", quality=30)

Opening reads the file and verifies its checksums; pixels are decoded when they are first used. `info` has quality,
icc_profile, exif and xmp at once. `thumbnail` has them decoded at a scale that is large enough, by way of `draft`.
Saving takes the keywords quality, target_size, target_psnr, effort, patches and exact of `cae.encode`.
"""

from __future__ import annotations

from inspect import signature
from typing import IO, Any

from PIL import Image, ImageFile

import cae

from .bitstream.container import unpack
from .bitstream.header import MAGIC
from .codec.image.chunks import metadata_of
from .codec.image.metadata import KINDS, put_metadata
from .codec.info import describe
from .codec.options import SCALES

FORMAT = "CAE"

_KEYWORDS = signature(cae.encode).parameters.keys() - {"image", "device", "max_pixels"}


class CaeImageFile(ImageFile.ImageFile):
    """A .cae file as Pillow sees it."""

    format = FORMAT
    format_description = "cae, a learned image codec"

    _data: bytes | None = None  # what is left to be decoded: nothing in a copy, which is made without `_open`
    _scale = 1  # by which the sides of the file's image are divided

    def _open(self) -> None:
        assert self.fp is not None
        self._data = self.fp.read()
        try:
            file = unpack(self._data)
            about = describe(file, len(self._data))
        except cae.CaeError as error:
            raise SyntaxError(str(error)) from error  # what Pillow expects of a file that is none of this kind
        self._size = self._whole = (about.width, about.height)
        self._mode = about.mode
        self.info["quality"] = about.quality
        put_metadata(self, metadata_of(file.chunks))

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Reduces the image, before its pixels are decoded, by the largest scale that leaves it no smaller than this
        size, width and height in pixels; what Pillow's thumbnail calls. mode: not looked at. Returns the mode, and
        where the whole image is in the reduced one: left, top, right, bottom. None where nothing is left to choose."""
        if self._data is None or size is None:
            return None
        width, height = self._whole
        most = min(width // max(size[0], 1), height // max(size[1], 1))
        self._scale = max(scale for scale in SCALES if scale <= max(most, 1))
        self._size = (-(-width // self._scale), -(-height // self._scale))
        return self.mode, (0, 0, width / self._scale, height / self._scale)

    def load(self) -> Any:
        """Decodes the pixels, if they have not been yet. Raises OSError for a damaged file."""
        if self._data is not None:
            try:
                width, height = self._whole
                image = cae.decode(self._data, scale=self._scale, max_pixels=max(1, width * height))
            except cae.CaeError as error:
                raise OSError(str(error)) from error
            if self.fp and self._exclusive_fp:
                self.fp.close()
            self.fp = None
            # Not by way of a tile of raw pixels: Pillow would map them from the file of that name, the .cae file.
            self.im = image.im
            self._data = None
        return super().load()


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
    options: dict[str, Any] = dict(image.encoderinfo)
    known = {key: options[key] for key in _KEYWORDS if key in options}
    given = {kind.key: options[kind.key] for kind in KINDS if kind.key in options}
    if given:
        image = image.copy()
    for key, value in given.items():
        image.info[key] = value.tobytes() if isinstance(value, Image.Exif) and value else value or None
    file.write(cae.encode(image, **known))


Image.register_open(FORMAT, CaeImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, ".cae")
Image.register_mime(FORMAT, "image/x-cae")
