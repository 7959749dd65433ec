"""Patches laid over what the networks show."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...bitstream import patches as chunk
from ...bitstream.errors import CorruptError
from ...bitstream.patches import CELL, Patches
from ...bitstream.rectangle import Rectangle
from ..image.webp import decompress
from ..model.arrays import Pixels
from ..model.config import PATCH
from .damage import GREY


class PatchLayer:
    """The patches of an image. Streams are decoded once pixels of their areas are asked for, and dropped with the first
    ones below; no more is held than a row of areas."""

    def __init__(self, patches: Patches | None, height: int, width: int, allow_damaged: bool) -> None:
        """patches: None is none; height, width: of the image."""
        self._patches = patches
        self._allow_damaged = allow_damaged
        self._areas = chunk.areas(height, width) if patches else []
        self._lost = set(patches.damaged) if patches else set()
        self._decoded: dict[int, tuple[Pixels, npt.NDArray[np.bool_]]] = {}

    def __bool__(self) -> bool:
        """Whether there are patches, intact or not."""
        return self._patches is not None

    def cover(self, area: Rectangle) -> bool:
        """Whether nothing that the networks show of some latents is seen."""
        if self._patches is None:
            return False
        own = area.covering(CELL // PATCH)
        return bool(self._patches.skipped[own.top : own.bottom, own.left : own.right].all())

    def lay_over(self, pixels: Pixels, top: int, left: int) -> None:
        """In place, over a part of the padded image, uint8 [h, w, 3], that begins there. Cells that the networks do not
        code and whose patches are lost become grey. Raises CorruptError for a stream that is damaged, unless that is
        allowed."""
        part = Rectangle(top, left, *pixels.shape[:2])
        for index, area in enumerate(self._areas):
            if area.bottom <= top:
                self._decoded.pop(index, None)
            if area.top < part.bottom and top < area.bottom and area.left < part.right and left < area.right:
                both = area.clipped(part)
                self._lay(index, area, both, pixels[both.within(part)])

    def _lay(self, index: int, area: Rectangle, both: Rectangle, pixels: Pixels) -> None:
        """What is in both an area and a part of the image; pixels: of that."""
        patches = self._patches
        assert patches is not None
        if index not in self._decoded and index not in self._lost and patches.streams[index]:
            try:
                self._decoded[index] = self._decode(patches, index, area)
            except CorruptError:
                if not self._allow_damaged:
                    raise
                self._lost.add(index)
        if index in self._decoded:
            own, shown = (values[both.within(area)] for values in self._decoded[index])
            np.copyto(pixels, own, where=shown[..., None])
        elif index in self._lost:
            pixels[_covered(patches, both)] = GREY
        elif _covered(patches, area).any():
            raise CorruptError("cells that are neither coded nor covered by patches")

    def _decode(self, patches: Patches, index: int, area: Rectangle) -> tuple[Pixels, npt.NDArray[np.bool_]]:
        pixels, shown = decompress(patches.streams[index], area.height, area.width)
        if (_covered(patches, area) & ~shown).any():
            raise CorruptError("cells that are neither coded nor covered by patches")
        return pixels, shown

    def notes(self) -> tuple[str, ...]:
        """A line for each area whose patches are lost."""
        return tuple(
            f"patches are damaged: what they show is missing in rows {area.top} to {area.bottom - 1}, "
            f"columns {area.left} to {area.right - 1}"
            for index, area in enumerate(self._areas)
            if index in self._lost
        )


def _covered(patches: Patches, area: Rectangle) -> npt.NDArray[np.bool_]:
    """Which pixels of an area of the image are in cells that the networks do not code."""
    return chunk.pixels_in(patches.skipped, CELL, area)
