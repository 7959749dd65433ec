"""Latents of tiles to their records in files and back: prior, rounding and entropy coder together.

Tiles of equal size go through the networks together, B at a time; as all sums are exact, each becomes what it becomes
alone.
"""

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
"""Called with the symbols and table rows of hyper-latents [B, h/4, w/4, Z], then of each step [4, B, h/2, w/2, M/4]."""


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

    def quantise(self, y: Tensor, row: int, z: Tensor | None = None) -> tuple[list[list[Step]], Tensor]:
        """Latents, float32 [B, h, w, M] in standard deviations -> for each tile the steps to be coded, hyper-latents
        first, and what will be decoded: int32 [B, h, w, M] in sixteenths of a step.

        z: hyper-latents, int32 [B, h/4, w/4, Z], if not those of these latents.
        """
        z = self.model.analyse_hyper(y, row) if z is None else z
        classes = to_classes(y)
        steps = [[(_flat(own), _flat(rows))] for own, rows in zip(z, self._hyper_rows(z.shape, row), strict=True)]

        def resolve(step: int, mean: Tensor, rows: Tensor) -> Tensor:
            residual, weight = self.model.residual(classes, mean, row, step)
            symbols = self._quantizer.quantise(residual, rows, weight)
            for tile, own, own_rows in zip(steps, symbols.unbind(1), rows.unbind(1), strict=True):
                tile.append((_flat(own), _flat(own_rows)))
            return symbols

        return steps, self.model.walk(z, row, resolve)

    def encode(self, steps: Sequence[Sequence[Step]], latents: Tensor) -> list[Tile]:
        """The records of what `quantise` gives."""
        return [Tile(encode_steps(self.tables, own), _checksum(y)) for own, y in zip(steps, latents, strict=True)]

    def latents(self, tile: Tile, height: int, width: int, row: int) -> npt.NDArray[np.int32]:
        """Of `windows.Networks`."""
        return self.decode([tile], height, width, row)[0].cpu().numpy()

    def pixels(self, latents: npt.NDArray[np.int32], row: int) -> npt.NDArray[np.uint8]:
        """Of `windows.Networks`."""
        return self.model.synthesise(torch.from_numpy(latents).to(self.device)[None], row)[0].cpu().numpy()

    def decode(self, tiles: Sequence[Tile], height: int, width: int, row: int, watch: Watch = _ignore) -> Tensor:
        """Their latents, int32 [B, h, w, M] in sixteenths of a step. Raises CorruptError, DecodeMismatchError.

        watch: is shown the symbols and table rows of the hyper-latents and of each step, as they are decoded.
        """
        decoded = self._dequantise([tile.payload for tile in tiles], height, width, row, watch)
        if any(_checksum(own) != tile.latents_checksum for own, tile in zip(decoded, tiles, strict=True)):
            raise DecodeMismatchError("the decoded latents are not those that were encoded")
        return decoded

    def _dequantise(self, payloads: Sequence[bytes], height: int, width: int, row: int, watch: Watch) -> Tensor:
        """Inverse of `quantise` and of the entropy coder."""
        decoders = [StepDecoder(self.tables, payload) for payload in payloads]
        shape = torch.Size((len(decoders), height // 4, width // 4, self.model.config.hyper_channels))

        def read(rows: Tensor, axis: int) -> Tensor:
            """The symbols of all tiles, which are along an axis."""
            rows = rows.cpu()
            parts = zip(decoders, rows.unbind(axis), strict=True)
            shape = torch.Size(size for index, size in enumerate(rows.shape) if index != axis)
            symbols = [torch.from_numpy(decoder.decode(_flat(own))).reshape(shape) for decoder, own in parts]
            together = symbols[0].unsqueeze(axis) if len(symbols) == 1 else torch.stack(symbols, axis)
            watch(together.numpy(), rows.numpy())
            return together.to(self.device)

        z = read(self._hyper_rows(shape, row), 0)

        def resolve(step: int, mean: Tensor, rows: Tensor) -> Tensor:
            return read(rows, 1)

        latents = self.model.walk(z, row, resolve)
        for decoder in decoders:
            decoder.finish()
        return latents

    def _hyper_rows(self, shape: torch.Size, row: int) -> Tensor:
        return self.model.hyper_rows[row].expand(shape)


def _flat(x: Tensor) -> npt.NDArray[Any]:
    return x.reshape(-1).cpu().numpy()


def _checksum(latents: Tensor) -> int:
    return latents_checksum(latents.cpu().numpy())
