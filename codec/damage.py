"""Damaged tiles: which of an image's are lost, and what takes their place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from ..bitstream.container import LATENT_SIDE, TILE_UNIT, Header, Rectangle, tile_grid, tile_rectangles

Pixels = npt.NDArray[np.uint8]

GREY = 128
"""The value of pixels that are lost."""

MOST_NOTES = 20
"""So many damaged tiles are named, the rest counted."""


class Damage:
    """The lost tiles of an image. What they cost is little more than the grey pixels that are shown for them, however
    many pixels a damaged file claims to have."""

    def __init__(self, header: Header, tiles: Iterable[int] = ()) -> None:
        """tiles: indices in the order of the file."""
        self._header = header
        self._side = header.tile * TILE_UNIT // LATENT_SIDE
        self._lost = np.zeros(tile_grid(header), bool)
        self._lost.reshape(-1)[list(tiles)] = True

    def __contains__(self, tile: int) -> bool:
        return bool(self._lost.flat[tile])

    def add(self, tile: int) -> None:
        """Loses another tile."""
        self._lost.flat[tile] = True

    def covers(self, area: Rectangle) -> bool:
        """Whether nothing in an area of latents is intact."""
        rows, columns = (
            slice(start // self._side, (start + size - 1) // self._side + 1)
            for start, size in ((area.top, area.height), (area.left, area.width))
        )
        return bool(self._lost[rows, columns].all())

    def blank(self, pixels: Pixels, top: int, left: int) -> None:
        """Makes lost pixels grey, in place, in a part of the padded image, uint8 [h, w, 3]; where that begins is in
        pixels too."""
        side = LATENT_SIDE * self._side
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
        """A line for each lost tile, as far as they are few."""
        lost = np.flatnonzero(self._lost)
        more = len(lost) - MOST_NOTES
        return (*self._named(lost[:MOST_NOTES]), *((f"{more} more tiles are damaged",) if more > 0 else ()))

    def _named(self, tiles: Iterable[int]) -> Iterator[str]:
        rectangles = tile_rectangles(self._header)
        for index in tiles:
            rectangle = rectangles[index]
            top, left = LATENT_SIDE * rectangle.top, LATENT_SIDE * rectangle.left
            bottom = min(top + LATENT_SIDE * rectangle.height, self._header.height)
            right = min(left + LATENT_SIDE * rectangle.width, self._header.width)
            yield (
                f"tile {index + 1} of {len(rectangles)} is damaged: rows {top} to {bottom - 1}, "
                f"columns {left} to {right - 1} are grey"
            )
