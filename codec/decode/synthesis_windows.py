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
from ..image.picture import to_grey
from ..model.arrays import Latents, Pixels
from ..model.config import PATCH


class TileDecoder(Protocol):
    """Decodes tiles to latents, and latents to pixels."""

    halo: int
    """Latent positions beyond a window that its pixels can depend on."""
    channels: int
    """Channels of the latents, M."""

    def latents(
        self, tile: Tile, height: int, width: int, rate_index: int, skipped: npt.NDArray[np.bool_] | None = None
    ) -> Latents:
        """The latents of a tile, int32 [height, width, M]. skipped: cells that are not coded, bool [h/4, w/4]. Raises
        CorruptError, DecodeMismatchError."""

    def pixels(self, latents: Latents, rate_index: int) -> Pixels:
        """The pixels of latents, int32 [h, w, M] -> uint8 [16h, 16w, 3]."""

    def preview(self, latents: Latents, rate_index: int) -> Pixels:
        """The pixels of an eighth of the size: int32 [h, w, M] -> uint8 [2h, 2w, 3]."""


def _kept(area: Rectangle) -> bool:
    """Says of every area that it is not lost."""
    return False


def synthesise(
    coder: TileDecoder,
    bands: Iterable[Latents],
    rate_index: int,
    origin: tuple[int, int] = (0, 0),
    lost: Callable[[Rectangle], bool] = _kept,
) -> Iterator[Pixels]:
    """The pixels of an area of the padded image, in rows from the top: parts uint8 [16n, 16w, 3].

    bands: the area's latents, int32 [h, w, M], in rows from the top. No more than one of them is kept, with what its
    neighbours need of it. origin: row and column of the area in the image's latents. lost: whether the pixels of an
    area of the image's latents are not wanted; no time is spent on those, and they are 0.
    """
    halo = coder.halo
    done, left = origin
    bands = iter(bands)
    kept = [next(bands)]
    above = 0  # rows of `kept` whose pixels are done: the pixels below depend on them
    for band in bands:
        # The rows whose pixels depend on nothing that is still to come, rounded down to whole windows: smaller ones
        # would pay as much for their halo.
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


def whole_image(
    coder: TileDecoder, bands: Iterable[Latents], rate_index: int, height: int, width: int, *, grey: bool
) -> Pixels:
    """The pixels of a whole image, uint8 [height, width, 3], or [height, width] where it is grey. bands: the latents of
    what it is padded to, as `synthesise` takes them."""
    shown = np.concatenate([part[:, :width] for part in synthesise(coder, bands, rate_index)])[:height]
    return to_grey(shown) if grey else shown


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
    """Joins parts one below the other, without a copy of a single one."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
