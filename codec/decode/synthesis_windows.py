"""Decoded pixels of whole images of any size: window by window, each with a halo of what its pixels can depend on.

The memory needed grows with the window, not with the image, and no seam can show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np

from ...bitstream.container import Rectangle, Tile
from ..model.arrays import Latents, Pixels
from ..model.config import PATCH

WINDOW = 64
"""Latent positions to a side of a window: 1024 pixels."""


class TileDecoder(Protocol):
    """Records of tiles to latents, and latents to pixels."""

    halo: int
    """Latent positions beyond a window that its pixels can depend on."""
    channels: int
    """Of latents."""

    def latents(self, tile: Tile, height: int, width: int, rate_index: int) -> Latents:
        """A tile's, [height, width, M]. Raises CorruptError, DecodeMismatchError."""

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
        ready -= ready % WINDOW
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
    width, halo = latents.shape[1], coder.halo
    for top, bottom in spans(start, end):
        pixels = np.zeros((PATCH * (bottom - top), PATCH * width, 3), np.uint8)
        above = min(halo, top)
        for left, right in spans(0, width):
            if lost(Rectangle(origin[0] + top, origin[1] + left, bottom - top, right - left)):
                continue
            before = min(halo, left)
            part = latents[top - above : bottom + halo, left - before : right + halo]
            shown = coder.pixels(part, rate_index)[PATCH * above :, PATCH * before :]
            pixels[:, PATCH * left : PATCH * right] = shown[: PATCH * (bottom - top), : PATCH * (right - left)]
        yield pixels


def _joined(parts: list[Latents]) -> Latents:
    """One below the other; no copy of one alone."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def spans(start: int, end: int) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of each window along one axis."""
    for first in range(start, end, WINDOW):
        yield first, min(first + WINDOW, end)
