"""Decoded pixels of whole images of any size: window by window, each with a halo of what its pixels can depend on.

The memory needed grows with the window, not with the image, and no seam can show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...bitstream.container import Tile
from ...bitstream.rectangle import Rectangle
from ..backends import batching
from ..model.arrays import Latents, Pixels
from ..model.config import PATCH


class TileDecoder(Protocol):
    """Records of tiles to latents, and latents to pixels."""

    halo: int
    """Latent positions beyond a window that its pixels can depend on."""
    channels: int
    """Of latents."""

    def latents(
        self, tile: Tile, height: int, width: int, rate_index: int, skipped: npt.NDArray[np.bool_] | None = None
    ) -> Latents:
        """A tile's, [height, width, M]; skipped: cells that are not coded, bool [h/4, w/4]. Raises CorruptError,
        DecodeMismatchError."""

    def pixels(self, latents: Latents, rate_index: int) -> Pixels:
        """uint8 [16h, 16w, 3]."""


def _kept(area: Rectangle) -> bool:
    """Nothing is lost."""
    return False


def synthesise(
    coder: TileDecoder,
    bands: Iterable[Latents],
    rate_index: int,
    origin: tuple[int, int] = (0, 0),
    lost: Callable[[Rectangle], bool] = _kept,
) -> Iterator[Pixels]:
    """An area of the padded image from the top to the bottom, in parts uint8 [16n, 16w, 3].

    bands: its latents likewise. No more than a band is kept, with what its neighbours need of it. origin: where in the
    image they begin, row and column. lost: whether the pixels of some of the image's latents are not wanted; no time is
    spent on those.
    """
    halo = coder.halo
    done, left = origin
    bands = iter(bands)
    kept = [next(bands)]
    above = 0  # rows of `kept` that are only there for those below
    for band in bands:
        # A row is complete where all that it depends on is there; whole windows of them are worth the halo.
        ready = sum(map(len, kept)) - above - halo + min(halo, len(band))
        ready -= ready % batching.WINDOW
        kept.append(band)
        if ready > 0:
            rows = _joined(kept)
            yield from _synthesise_rows(coder, rows, above, above + ready, rate_index, (done - above, left), lost)
            drop = max(above + ready - halo, 0)
            kept, above, done = [rows[drop:]], above + ready - drop, done + ready
    rows = _joined(kept)
    yield from _synthesise_rows(coder, rows, above, len(rows), rate_index, (done - above, left), lost)


def _synthesise_rows(
    coder: TileDecoder,
    latents: Latents,
    start: int,
    end: int,
    rate_index: int,
    origin: tuple[int, int],
    lost: Callable[[Rectangle], bool],
) -> Iterator[Pixels]:
    """The pixels of the latent rows from `start` to `end`, a row of windows at a time."""
    there = Rectangle(0, 0, *latents.shape[:2])
    for strip in Rectangle(start, 0, end - start, there.width).parts(batching.WINDOW, there.width):
        pixels = np.zeros((PATCH * strip.height, PATCH * strip.width, 3), np.uint8)
        for window in batching.windows(strip):
            if not lost(window.moved(*origin)):
                outer = window.grown(coder.halo, there)
                shown = coder.pixels(latents[outer.within(there)], rate_index)
                own = window.scaled(PATCH)
                pixels[own.within(strip.scaled(PATCH))] = shown[own.within(outer.scaled(PATCH))]
        yield pixels


def _joined(parts: list[Latents]) -> Latents:
    """One below the other; no copy of one alone."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
