"""Splitting of large images into windows for the networks, and grouping of small images of equal size into batches."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...bitstream.container import Tile
from ...bitstream.rectangle import Rectangle
from ..model.arrays import Latents, Pixels
from ..model.config import HYPER_PATCH

WINDOW = 64
"""Side of a window in latent positions: 1024 pixels."""

ROOM = {"cpu": 2**18, "cuda": 2**22}
"""Most pixels of a batch of images, padding included, for each device. On a CPU a batch saves the calls' own cost,
which counts for small images, as long as it fits into the cache; a GPU is idle with few pixels."""


def windows(area: Rectangle) -> Iterator[Rectangle]:
    """The windows, row by row, of an area in latent positions."""
    return area.parts(WINDOW, WINDOW)


def padded_pixels(width: int, height: int) -> int:
    """The number of pixels of an image once it is padded for the networks."""
    return -(-width // HYPER_PATCH) * -(-height // HYPER_PATCH) * HYPER_PATCH**2


def groups(keys: Sequence[Hashable], most: Sequence[int]) -> Iterator[list[int]]:
    """Batches of items with equal keys, as lists of their indices. most: for each item, the number of items that its
    batch may have; one at least, whatever this says."""
    waiting: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        group = waiting.setdefault(key, [])
        group.append(index)
        if len(group) >= most[index]:
            yield waiting.pop(key)
    yield from waiting.values()


@dataclass
class Done:
    """The decoded latents and pixels of an image of one tile and one window, as a `synthesis_windows.TileDecoder`: for
    images whose networks have run in a batch. shown: its pixels, or its preview where that alone will be asked for."""

    halo: int
    channels: int
    known: Latents
    shown: Pixels

    def latents(
        self, tile: Tile, height: int, width: int, rate_index: int, skipped: npt.NDArray[np.bool_] | None = None
    ) -> Latents:
        """The latents of the image, [height, width, M]."""
        return self.known

    def pixels(self, latents: Latents, rate_index: int) -> Pixels:
        """The pixels of the image, uint8 [16h, 16w, 3]."""
        return self.shown

    def preview(self, latents: Latents, rate_index: int) -> Pixels:
        """The preview of the image, uint8 [2h, 2w, 3]."""
        return self.shown
