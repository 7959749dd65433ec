"""How much goes through the networks at a time: large images window by window, small ones of equal size together."""

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
"""Latent positions to a side of a window: 1024 pixels."""

ROOM = {"cpu": 2**18, "cuda": 2**22}
"""Pixels of images that are taken together, with those that pad them. On a CPU they share what a call costs beside its
arithmetic, which counts where an image is small, and must stay in the cache; a GPU is idle with few."""


def windows(area: Rectangle) -> Iterator[Rectangle]:
    """The windows of an area of latents, row by row."""
    return area.parts(WINDOW, WINDOW)


def padded_pixels(width: int, height: int) -> int:
    """Of what goes through the networks for an image."""
    return -(-width // HYPER_PATCH) * -(-height // HYPER_PATCH) * HYPER_PATCH**2


def groups(keys: Sequence[Hashable], most: Sequence[int]) -> Iterator[list[int]]:
    """The indices of what is taken together: of one key, at most as many as `most` says there, and at least one."""
    waiting: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        group = waiting.setdefault(key, [])
        group.append(index)
        if len(group) >= most[index]:
            yield waiting.pop(key)
    yield from waiting.values()


@dataclass
class Done:
    """`synthesis_windows.TileDecoder` of an image of one tile and one window whose networks have run."""

    halo: int
    channels: int
    known: Latents
    shown: Pixels

    def latents(
        self, tile: Tile, height: int, width: int, rate_index: int, skipped: npt.NDArray[np.bool_] | None = None
    ) -> Latents:
        """Those of the image, [height, width, M]."""
        return self.known

    def pixels(self, latents: Latents, rate_index: int) -> Pixels:
        """Those of the image, uint8 [16h, 16w, 3]."""
        return self.shown
