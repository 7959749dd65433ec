"""Fewer colours for patches, where exact ones are too dear: those that are seen often stay, others become like them.

Lossless WebP writes up to 256 colours as one index a pixel. Letters have many shades at their edges, of which few will
do, but large areas of nearly equal colours must stay apart: how far a colour may move falls with how often it occurs.
All in integers, so that the encoder's choice is the same on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...bitstream.patches import areas, pixels_in
from ...bitstream.rectangle import Rectangle
from ..image.picture import to_rgb
from ..model.arrays import Pixels
from .suspects import CELL, Mask

MOST = 255
"""Colours of an area. One more is that of pixels that are not shown."""

_SHARE = 16000
"""Of so many pixels one may have a colour that moves as far as any. With 1000, backgrounds moved: SSIMULACRA2 fell by
up to 17."""

_WEIGHTS = np.array([2, 4, 1], np.int32)
"""Of the squared differences of red, green and blue."""

_TOGETHER = 4096
"""Colours that are compared with those that stay at a time, for the memory that takes."""


class Colours:
    """The colours of a picture, counted once for all the ways to make them fewer."""

    def __init__(self, pixels: Pixels) -> None:
        """pixels: uint8 [H, W, 3] or [H, W]."""
        self._pixels = pixels
        self._whole = Rectangle(0, 0, *pixels.shape[:2])
        self._areas = areas(*pixels.shape[:2])
        self._counted = [_counted(pixels[area.within(self._whole)]) for area in self._areas]

    def reduced(self, cells: Mask, radius: int) -> Pixels:
        """The picture with fewer colours in the cells, at most `MOST` in each area of the format. radius: how far, in
        levels of 8 bits, a rare colour may move as long as no more than MOST stay; 0 changes nothing."""
        if not radius:
            return self._pixels
        found = np.empty_like(self._pixels)
        for area, (colours, index) in zip(self._areas, self._counted, strict=True):
            shown = pixels_in(cells, CELL, area)
            counts = np.bincount(index[shown], minlength=len(colours))
            new = _reduced(colours, counts, radius).astype(np.uint8)[index]
            place = area.within(self._whole)
            if found.ndim == 3:
                found[place] = np.where(shown[..., None], new, self._pixels[place])
            else:
                found[place] = np.where(shown, new[..., 0], self._pixels[place])
        return found


def _counted(pixels: Pixels) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
    """The colours of a part, int32 [n, 3], and which of them each pixel has, uint32 [h, w]."""
    rgb = to_rgb(pixels)
    # Shifts of planes: a product with integers takes four times as long.
    red, green, blue = (rgb[..., channel].astype(np.uint32) for channel in range(3))
    values, index = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    colours = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=1).astype(np.int32)
    return colours, index.astype(np.uint32).reshape(pixels.shape[:2])


def _reduced(colours: npt.NDArray[np.int32], counts: npt.NDArray[np.int64], radius: int) -> npt.NDArray[np.int32]:
    """What each colour becomes, where it occurs."""
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    some = colours[order]
    if not len(some):
        return colours
    often = np.maximum(counts[order] // max(1, int(counts.sum()) // _SHARE), 1)
    kept = some[_staying(some, often, radius)]
    new = colours.copy()
    for at in range(0, len(some), _TOGETHER):
        nearest = _distances(some[at : at + _TOGETHER, None], kept).argmin(axis=1)
        new[order[at : at + _TOGETHER]] = kept[nearest]
    return new


def _staying(colours: npt.NDArray[np.int32], often: npt.NDArray[np.int64], radius: int) -> npt.NDArray[np.int64]:
    """Which colours stay, the most frequent first: each takes in those that are as near as they may move. often: how
    many times as often as a rare one each occurs, at least 1."""
    limits = radius**2 * int(_WEIGHTS.sum()) // often
    left = np.arange(len(colours))
    stay: list[int] = []
    while len(left) and len(stay) < MOST:
        stay.append(int(left[0]))
        left = left[_distances(colours[left], colours[left[0]]) > limits[left]]
    return np.array(stay)


def _distances(of: npt.NDArray[np.int32], others: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Squared, int32."""
    red, green, blue = (np.square(of[..., channel] - others[..., channel]) for channel in range(3))
    found: npt.NDArray[np.int32] = _WEIGHTS[0] * red + _WEIGHTS[1] * green + _WEIGHTS[2] * blue
    return found
