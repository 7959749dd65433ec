"""Pictures to .cae files and back: the stages in order, one call each."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..bitstream.alpha import compress_plane, decompress_plane
from ..bitstream.container import (
    ALPHA,
    EXIF,
    ICC,
    MAX_PIXELS,
    MAX_SIDE,
    XMP,
    Chunk,
    Container,
    Header,
    Tile,
    latent_size,
    latents_checksum,
    pack,
    tile_rectangles,
    unpack,
)
from ..bitstream.entropy import StepDecoder, encode_steps
from ..bitstream.errors import DecodeMismatchError, ImageError, InputError, WrongWeightsError
from . import windows
from .checkpoint import load_frozen
from .config import ROWS
from .frozen import FrozenModel
from .image import Picture
from .prior import to_classes
from .quantize import Quantizer

Pixels = npt.NDArray[np.uint8]
Step = tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]
"""(symbols, table rows), both [n]: what the entropy coder takes at a time."""


def rate_row(quality: float) -> int:
    """Quality 0..100 -> row of the rate tables, 0..255, strictly increasing over whole qualities.

    Raises InputError outside the range.
    """
    if not 0 <= quality <= 100:  # also true for NaN
        raise InputError(f"quality must be between 0 and 100, not {quality:g}")
    return round(quality * (ROWS - 1) / 100)


class Codec:
    """A model on a device, with its entropy coder's tables. Make it by `load_codec`."""

    def __init__(self, model: FrozenModel, fingerprint: bytes, device: str = "cpu") -> None:
        self.model = model.to(device)
        self.fingerprint = fingerprint
        self.tables = model.probability_tables()
        self._quantizer = Quantizer(self.tables, torch.device(device))

    def encode(self, picture: Picture, quality: float) -> bytes:
        """A whole file. Raises InputError for a quality outside 0..100."""
        row = rate_row(quality)
        if max(picture.width, picture.height) > MAX_SIDE or picture.width * picture.height > MAX_PIXELS:
            raise ImageError(f"{picture.width} x {picture.height} pixels are more than the format allows")
        header = Header(picture.width, picture.height, picture.grey, row, self.fingerprint)
        tiles = tuple(
            Tile(encode_steps(self.tables, steps), _checksum(latents))
            for steps, latents in self.quantise_tiles(_to_rgb(picture.pixels), header)
        )
        return pack(Container(header, _to_chunks(picture), tiles))

    def decode(self, data: bytes) -> Picture:
        """The picture in a file. Raises BitstreamError or WeightsError."""
        container = unpack(data)
        header = container.header
        latents = self.decode_latents(container)
        pixels = windows.crop(windows.synthesise(self.model, latents, header.row), header.height, header.width)
        return _from_chunks(container.chunks, _to_grey(pixels) if header.grey else pixels)

    def decode_latents(self, container: Container) -> Tensor:
        """The exact part of decoding: int32 [1, h, w, M] in sixteenths of a step, the same on every machine."""
        header = container.header
        if header.fingerprint != self.fingerprint:
            raise WrongWeightsError(
                f"the file needs weights {header.fingerprint.hex()}, installed are {self.fingerprint.hex()}"
            )
        channels = self.model.config.latent_channels
        latents = torch.empty(1, *latent_size(header), channels, dtype=torch.int32, device=self.device)
        for tile, (top, left, height, width) in zip(container.tiles, tile_rectangles(header), strict=True):
            decoded = self._dequantise(tile.payload, height, width, header.row)
            if _checksum(decoded) != tile.latents_checksum:
                raise DecodeMismatchError("the decoded latents are not those that were encoded")
            latents[:, top : top + height, left : left + width] = decoded
        return latents

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.sigma.device

    def analyse(self, pixels: Pixels, row: int) -> Tensor:
        """Padded pixels uint8 [H, W, 3] -> latents in standard deviations, float32 [1, H/16, W/16, M]."""
        return windows.analyse(self.model, pixels, row)

    def quantise_tiles(self, pixels: Pixels, header: Header) -> Iterator[tuple[list[Step], Tensor]]:
        """`quantise` of each tile of an image, uint8 [H, W, 3], in the order of the file."""
        y = self.analyse(windows.pad(pixels), header.row)
        for top, left, height, width in tile_rectangles(header):
            yield self.quantise(y[:, top : top + height, left : left + width], header.row)

    def quantise(self, y: Tensor, row: int) -> tuple[list[Step], Tensor]:
        """A tile's latents, float32 [1, h, w, M] in standard deviations -> the steps to be coded, hyper-latents first,
        and what will be decoded: int32 [1, h, w, M] in sixteenths of a step."""
        z = self.model.analyse_hyper(y, row)
        classes = to_classes(y)
        steps = [(_flat(z), self._hyper_rows(z.shape, row))]

        def resolve(step: int, mean: Tensor, rows: Tensor) -> Tensor:
            residual, weight = self.model.residual(classes, mean, row, step)
            symbols = self._quantizer.quantise(residual, rows, weight)
            steps.append((_flat(symbols), _flat(rows)))
            return symbols

        return steps, self.model.walk(z, row, resolve)

    def _dequantise(self, payload: bytes, height: int, width: int, row: int) -> Tensor:
        """Inverse of `quantise` and of the entropy coder."""
        decoder = StepDecoder(self.tables, payload)
        shape = torch.Size((1, height // 4, width // 4, self.model.config.hyper_channels))
        z = torch.from_numpy(decoder.decode(self._hyper_rows(shape, row))).to(self.device).reshape(shape)

        def resolve(step: int, mean: Tensor, rows: Tensor) -> Tensor:
            return torch.from_numpy(decoder.decode(_flat(rows))).to(self.device).reshape(mean.shape)

        latents = self.model.walk(z, row, resolve)
        decoder.finish()
        return latents

    def _hyper_rows(self, shape: torch.Size, row: int) -> npt.NDArray[np.uint8]:
        return _flat(self.model.hyper_rows[row].expand(shape))


def resolve_device(device: str) -> str:
    """ "auto" (CUDA where there is one), "cpu" or "cuda" -> "cpu" or "cuda".

    Raises InputError for another device or one that is not there.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device must be auto, cpu or cuda, not {device}")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda was asked for, but torch finds no CUDA device")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def load_codec(device: str = "auto") -> Codec:
    """The installed model on a device, loaded once for each. Raises as `resolve_device`, and WeightsError."""
    return _load_codec(resolve_device(device))


@functools.cache
def _load_codec(device: str) -> Codec:
    return Codec(*load_frozen(), device)


def _flat(x: Tensor) -> npt.NDArray[Any]:
    return x.reshape(-1).cpu().numpy()


def _checksum(latents: Tensor) -> int:
    return latents_checksum(latents[0].permute(2, 0, 1).cpu().numpy())


def _to_rgb(pixels: Pixels) -> Pixels:
    """Grey [H, W] -> [H, W, 3]; colour as it is."""
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def _to_grey(pixels: Pixels) -> Pixels:
    """Inverse of `_to_rgb`: the mean of the three channels, each of which is an estimate of the same value."""
    # + 1 rounds a third to the nearest integer.
    grey: Pixels = ((pixels.sum(axis=2, dtype=np.uint16) + 1) // 3).astype(np.uint8)
    return grey


def _to_chunks(picture: Picture) -> tuple[Chunk, ...]:
    parts = {
        ALPHA: None if picture.alpha is None else compress_plane(picture.alpha),
        ICC: picture.icc,
        EXIF: picture.exif,
        XMP: picture.xmp,
    }
    return tuple(Chunk(kind, data) for kind, data in parts.items() if data is not None)


def _from_chunks(chunks: tuple[Chunk, ...], pixels: Pixels) -> Picture:
    """Inverse of `_to_chunks`, around the decoded pixels."""
    parts = {chunk.kind: chunk.data for chunk in chunks}
    alpha = decompress_plane(parts[ALPHA], *pixels.shape[:2]) if ALPHA in parts else None
    return Picture(pixels, alpha, parts.get(ICC), parts.get(EXIF), parts.get(XMP))
