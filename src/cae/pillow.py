"""Pillow reads and writes .cae files once this module is imported.

    import cae.pillow
    image = Image.open("photo.cae")
    image.save("small.cae", quality=30)

Opening takes size and mode from the head of the file; pixels are decoded when they are first used. `info` has quality,
icc_profile, exif and xmp. Saving takes the keywords quality, target_size, target_psnr and effort of `cae.encode`.
"""

from __future__ import annotations

from io import BytesIO
from typing import IO, Any

from PIL import Image, ImageFile

import cae

from .bitstream.container import MAGIC
from .codec.info import info

FORMAT = "CAE"


class CaeImageFile(ImageFile.ImageFile):
    """A .cae file as Pillow sees it."""

    format = FORMAT
    format_description = "cae, a learned image codec"

    def _open(self) -> None:
        assert self.fp is not None
        self._data: bytes | None = self.fp.read()
        try:
            about = info(self._data)
        except cae.CaeError as error:
            raise SyntaxError(str(error)) from error  # what Pillow expects of a file that is none of this kind
        self._size = (about.width, about.height)
        self._mode = about.mode
        self.info["quality"] = about.quality
        # Where Pillow looks for what is left to be decoded; `load` puts the pixels there.
        self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)]

    def load(self) -> Any:
        """Decodes the pixels, if they have not been yet. Raises OSError for a damaged file."""
        if self._data is not None:
            try:
                image = cae.decode(self._data, max_pixels=max(1, self.width * self.height))
            except cae.CaeError as error:
                raise OSError(str(error)) from error
            self.info |= image.info
            if self.fp and self._exclusive_fp:
                self.fp.close()
            self.fp = BytesIO(image.tobytes())
            self._data = None
        return super().load()


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(image: Image.Image, file: IO[bytes], name: str | bytes) -> None:
    options: dict[str, Any] = dict(image.encoderinfo)
    known = {key: options[key] for key in ("quality", "target_size", "target_psnr", "effort") if key in options}
    for key in ("icc_profile", "exif", "xmp"):
        if options.get(key):
            image = image.copy()
            value = options[key]
            image.info[key] = value.tobytes() if isinstance(value, Image.Exif) else value
    file.write(cae.encode(image, **known))


Image.register_open(FORMAT, CaeImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, ".cae")
Image.register_mime(FORMAT, "image/x-cae")
