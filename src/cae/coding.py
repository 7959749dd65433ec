"""`cae.Codec`: what codes pictures on a device, one by one or many together."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from .bitstream.errors import InputError
from .bitstream.header import Header, read_header
from .bitstream.limits import DEFAULT_MAX_PIXELS
from .codec import select
from .codec.codec import FileCoder
from .codec.encode import rate_control
from .codec.encode.options import EncodeOptions
from .codec.image.picture import Picture, read_picture, to_pil
from .codec.machine.device import check_device
from .codec.machine.memory import memory_errors
from .codec.options import DEFAULT_EFFORT

Source = str | os.PathLike[str] | Image.Image | npt.NDArray[Any] | BinaryIO
"""A path, a PIL image, a uint8 array [H, W] (grey), [H, W, 2] (with alpha), [H, W, 3] or [H, W, 4] (RGBA), or an open
binary file."""


File = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO
"""A .cae file: its bytes, its path, or the open binary file."""

Decoded = TypeVar("Decoded")


def file_bytes(file: File) -> bytes:
    """The bytes of a .cae file. Raises InputError for what is none, and where it cannot be read."""
    if isinstance(file, bytes | bytearray | memoryview):
        return bytes(file)
    try:
        data = file.read() if hasattr(file, "read") else Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"a .cae file is bytes, a path or a binary file, not {type(file).__name__}") from error
    if not isinstance(data, bytes):
        raise InputError(f"a .cae file is read as bytes, not as {type(data).__name__}: open it in binary mode")
    return data


class Codec:
    """Codes on a device: what `cae.encode` and `cae.decode` do for one picture, and the same for many at once.

    Pictures of equal size, and files of equal size and quality, go through the networks together, which takes a
    fraction of the time where they are small. Each becomes the same file, or image, as alone. Weights are loaded with
    the first picture and shared by all that codes in this process; threads may share one of these.
    """

    def __init__(self, device: str = "auto", *, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        """device: auto, cpu or cuda. max_pixels: larger images are refused before they are read; the default is that of
        Pillow. Raises InputError for another device."""
        check_device(device)
        self.device = device
        self.max_pixels = max_pixels

    def encode(
        self,
        image: Source,
        quality: float = 50,
        *,
        target_size: int | None = None,
        target_psnr: float | None = None,
        effort: int = DEFAULT_EFFORT,
        patches: str = "auto",
        exact: bool = False,
    ) -> bytes:
        """A picture as the bytes of a .cae file; arguments and errors are those of `cae.encode`."""
        options = self._options(
            quality=quality,
            target_size=target_size,
            target_psnr=target_psnr,
            effort=effort,
            patches=patches,
            exact=exact,
        )
        picture = self._read(image, options)
        return rate_control.encode(select.load_encoder(picture, options), picture, options).data

    def encode_many(
        self,
        images: Sequence[Source],
        quality: float = 50,
        *,
        effort: int = DEFAULT_EFFORT,
        patches: str = "auto",
        exact: bool = False,
    ) -> list[bytes]:
        """The file of each picture, all of which are held in memory at once. Raises as `encode`, for any of them."""
        options = self._options(quality=quality, effort=effort, patches=patches, exact=exact)
        pictures = [self._read(image, options) for image in images]
        if not pictures:
            return []
        largest = max(pictures, key=lambda picture: picture.width * picture.height)
        return select.load_encoder(largest, options, len(pictures)).encode_pictures(pictures, options)

    def decode(
        self,
        data: File,
        *,
        region: tuple[int, int, int, int] | None = None,
        scale: int = 1,
        allow_damaged: bool = False,
    ) -> Image.Image:
        """The image of a .cae file; arguments and errors are those of `cae.decode`."""
        return self._decode(data, region, scale, allow_damaged, stacklevel=3)

    def decode_many(
        self, files: Sequence[File], *, region: tuple[int, int, int, int] | None = None, scale: int = 1
    ) -> list[Image.Image]:
        """The image of each file, all of which are held in memory at once. Raises as `decode`, for any of them."""

        def decode(decoder: FileCoder, own: list[bytes]) -> list[Image.Image]:
            pictures = decoder.decode_many(own, max_pixels=self.max_pixels, region=region, scale=scale)
            return [to_pil(picture) for picture in pictures]

        return self._by_weights(files, decode)

    def latents(self, data: File) -> npt.NDArray[np.float32]:
        """The decoded latents of a .cae file; what they are, and errors, as of `cae.latents`."""
        return self.latents_many([data])[0]

    def latents_many(self, files: Sequence[File]) -> list[npt.NDArray[np.float32]]:
        """The decoded latents of each file, all of which are held in memory at once. Raises as `latents`, for any of
        them."""
        return self._by_weights(files, lambda decoder, own: decoder.latents_many(own, max_pixels=self.max_pixels))

    def _by_weights(
        self, files: Sequence[File], decode: Callable[[FileCoder, list[bytes]], list[Decoded]]
    ) -> list[Decoded]:
        """What `decode` gives for each file, by a decoder with the weights that it was made with."""
        by_weights: dict[bytes, list[tuple[int, Header]]] = {}
        data = [file_bytes(file) for file in files]
        for index, header in enumerate(map(read_header, data)):
            by_weights.setdefault(header.fingerprint, []).append((index, header))
        found: dict[int, Decoded] = {}
        for group in by_weights.values():
            _, largest = max(group, key=lambda each: each[1].width * each[1].height)
            decoder = select.load_decoder(self.device, largest, len(group))
            indices = [index for index, _ in group]
            found.update(zip(indices, decode(decoder, [data[index] for index in indices]), strict=True))
        return [found[index] for index in range(len(data))]

    def _options(self, **asked: Any) -> EncodeOptions:
        return EncodeOptions(device=self.device, max_pixels=self.max_pixels, **asked)

    def _read(self, image: Source, options: EncodeOptions) -> Picture:
        picture = read_picture(image, options.max_pixels)
        with memory_errors():
            return rate_control.prepare(picture, options)

    def _decode(
        self, file: File, region: tuple[int, int, int, int] | None, scale: int, allow_damaged: bool, stacklevel: int
    ) -> Image.Image:
        """stacklevel: whose call a warning names."""
        data = file_bytes(file)
        decoder = select.load_decoder(self.device, read_header(data))
        picture = decoder.decode(
            data, max_pixels=self.max_pixels, allow_damaged=allow_damaged, region=region, scale=scale
        )
        if picture.is_damaged:
            warnings.warn("; ".join(picture.notes), stacklevel=stacklevel)
        return to_pil(picture)
