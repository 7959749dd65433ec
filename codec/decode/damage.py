"""Damaged tiles: which of an image's are lost, and what takes their place."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...bitstream.header import LATENT_SIDE, Header, tile_grid, tile_side
from ...bitstream.rectangle import Rectangle
from ..model.arrays import Pixels

GREY = 128
"""The value of pixels that are lost."""

MOST_PLACES = 20
"""Up to so many damaged tiles are named one by one, with their rows and columns of pixels."""


class Damage:
    """The lost tiles of an image, shown as grey. They take little more memory and time than those grey pixels do,
    however many pixels a damaged file claims to have."""

    def __init__(self, header: Header, tiles: Iterable[int]) -> None:
        """tiles: indices in the order of the file."""
        self._size = header.height, header.width
        self._side = tile_side(header)
        self._lost = np.zeros(tile_grid(header), bool)
        self._lost.reshape(-1)[list(tiles)] = True

    def __contains__(self, tile: int) -> bool:
        return bool(self._lost.flat[tile])

    def add(self, tile: int) -> None:
        """Marks another tile as lost."""
        self._lost.flat[tile] = True

    def is_total(self) -> bool:
        """Whether all tiles are lost."""
        return bool(self._lost.all())

    def covers(self, area: Rectangle) -> bool:
        """Whether all tiles are lost that an area, in latent positions, touches."""
        tiles = area.covering(self._side)
        return bool(self._lost[tiles.top : tiles.bottom, tiles.left : tiles.right].all())

    def blank(self, pixels: Pixels, top: int, left: int, scale: int = 1) -> None:
        """Makes lost pixels grey, in place. pixels: uint8 [h, w, 3], the part of the padded image whose first row and
        column are `top` and `left`. scale: by which the image's sides are divided."""
        side = LATENT_SIDE * self._side // scale
        for row in range(top // side, (top + len(pixels) - 1) // side + 1):
            rows = pixels[max(row * side - top, 0) : (row + 1) * side - top]
            if self._lost[row].all():
                rows[:] = GREY
                continue
            for column in np.flatnonzero(self._lost[row]):
                end = (column + 1) * side - left
                if end > 0:
                    rows[:, max(column * side - left, 0) : end] = GREY

    def notes(self) -> tuple[str, ...]:
        """Which tiles are lost: a line for each, or of more than MOST_PLACES, for each run in the order of the file."""
        lost = np.flatnonzero(self._lost)
        if len(lost) <= MOST_PLACES:
            return tuple(self._note(int(tile)) for tile in lost)
        runs = np.split(lost, np.flatnonzero(np.diff(lost) > 1) + 1)
        return tuple(
            f"tiles {run[0] + 1} to {run[-1] + 1} of {self._lost.size} are damaged and grey"
            if len(run) > 1
            else self._note(int(run[0]))
            for run in runs
        )

    def _note(self, tile: int) -> str:
        row, column = divmod(tile, self._lost.shape[1])
        top, left = (LATENT_SIDE * self._side * index for index in (row, column))
        bottom, right = (
            min(start + LATENT_SIDE * self._side, size) for start, size in zip((top, left), self._size, strict=True)
        )
        return (
            f"tile {tile + 1} of {self._lost.size} is damaged: rows {top} to {bottom - 1}, "
            f"columns {left} to {right - 1} are grey"
        )
