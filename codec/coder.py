"""Latents of a tile to its record in the file and back: prior, rounding and entropy coder together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..bitstream.container import Tile, latents_checksum
from ..bitstream.entropy import StepDecoder, encode_steps
from ..bitstream.errors import DecodeMismatchError
from .frozen import FrozenModel
from .prior import to_classes
from .quantize import Quantizer

Step = tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]
"""(symbols, table rows), both [n]: what the entropy coder takes at a time."""

Watch = Callable[[npt.NDArray[np.int32], npt.NDArray[np.uint8]], None]
"""Called with the symbols and table rows of hyper-latents [1, h/4, w/4, Z], then of each step [4, 1, h/2, w/2, M/4]."""


def _ignore(symbols: npt.NDArray[np.int32], rows: npt.NDArray[np.uint8]) -> None:
    """Watches nothing."""


class TileCoder:
    """A model with its entropy coder's tables."""

    def __init__(self, model: FrozenModel) -> None:
        self.model = model
        self.halo, self.channels = model.config.halo, model.config.latent_channels
        self.tables = model.probability_tables()
        self._quantizer = Quantizer(self.tables, self.device)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.unit.device

    def quantise(self, y: Tensor, row: int, z: Tensor | None = None) -> tuple[list[Step], Tensor]:
        """A tile's latents, float32 [1, h, w, M] in standard deviations -> the steps to be coded, hyper-latents first,
        and what will be decoded: int32 [1, h, w, M] in sixteenths of a step.

        z: hyper-latents, int32 [1, h/4, w/4, Z], if not those of these latents.
        """
        z = self.model.analyse_hyper(y, row) if z is None else z
        classes = to_classes(y)
        steps = [(_flat(z), self._hyper_rows(z.shape, row))]

        def resolve(step: int, mean: Tensor, rows: Tensor) -> Tensor:
            residual, weight = self.model.residual(classes, mean, row, step)
            symbols = self._quantizer.quantise(residual, rows, weight)
            steps.append((_flat(symbols), _flat(rows)))
            return symbols

        return steps, self.model.walk(z, row, resolve)

    def encode(self, steps: Sequence[Step], latents: Tensor) -> Tile:
        """The record of what `quantise` gives."""
        return Tile(encode_steps(self.tables, steps), _checksum(latents))

    def latents(self, tile: Tile, height: int, width: int, row: int) -> npt.NDArray[np.int32]:
        """Of `windows.Networks`."""
        return self.decode(tile, height, width, row)[0].cpu().numpy()

    def pixels(self, latents: npt.NDArray[np.int32], row: int) -> npt.NDArray[np.uint8]:
        """Of `windows.Networks`."""
        return self.model.synthesise(torch.from_numpy(latents).to(self.device)[None], row)[0].cpu().numpy()

    def decode(self, tile: Tile, height: int, width: int, row: int, watch: Watch = _ignore) -> Tensor:
        """Its latents, int32 [1, h, w, M] in sixteenths of a step. Raises CorruptError, DecodeMismatchError.

        watch: is shown the symbols and table rows of the hyper-latents and of each step, as they are decoded.
        """
        decoded = self._dequantise(tile.payload, height, width, row, watch)
        if _checksum(decoded) != tile.latents_checksum:
            raise DecodeMismatchError("the decoded latents are not those that were encoded")
        return decoded

    def _dequantise(self, payload: bytes, height: int, width: int, row: int, watch: Watch) -> Tensor:
        """Inverse of `quantise` and of the entropy coder."""
        decoder = StepDecoder(self.tables, payload)
        shape = torch.Size((1, height // 4, width // 4, self.model.config.hyper_channels))

        def read(rows: npt.NDArray[np.uint8], shape: torch.Size) -> Tensor:
            symbols = decoder.decode(rows)
            watch(symbols.reshape(shape), rows.reshape(shape))
            return torch.from_numpy(symbols).to(self.device).reshape(shape)

        z = read(self._hyper_rows(shape, row), shape)

        def resolve(step: int, mean: Tensor, rows: Tensor) -> Tensor:
            return read(_flat(rows), mean.shape)

        latents = self.model.walk(z, row, resolve)
        decoder.finish()
        return latents

    def _hyper_rows(self, shape: torch.Size, row: int) -> npt.NDArray[np.uint8]:
        return _flat(self.model.hyper_rows[row].expand(shape))


def _flat(x: Tensor) -> npt.NDArray[Any]:
    return x.reshape(-1).cpu().numpy()


def _checksum(latents: Tensor) -> int:
    return latents_checksum(latents[0].cpu().numpy())
