"""Decoding a part of an image, or all of it reduced: which tiles that takes, and their pixels made into the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np

from ...bitstream.errors import InputError
from ...bitstream.header import Header, all_latents, tile_side
from ...bitstream.rectangle import Rectangle
from ..model.arrays import Pixels
from ..model.config import PATCH
from ..options import SCALES

Write = Callable[[Pixels], None]
"""Takes the next rows of an image: uint8 [h, W, 3], or [h, W] for grey."""


class Region(NamedTuple):
    """A part of an image, in pixels."""

    x: int
    y: int
    width: int
    height: int


def whole(header: Header) -> Region:
    """All of the image."""
    return Region(0, 0, header.width, header.height)


def asked(header: Header, region: Sequence[int] | None, scale: int) -> Region:
    """The region that is asked for, all of the image for None. Raises InputError for one that is none, is empty or not
    within the image, or another scale than SCALES."""
    if region is None:
        region = whole(header)
    if not isinstance(region, Sequence) or len(region) != 4:
        raise InputError(f"a region is x, y, width and height, not {region!r}")
    x, y, width, height = region
    if not all(isinstance(value, Integral) for value in (*region, scale)):
        raise InputError(f"a region and a scale are whole numbers, not {(*region,)} and {scale!r}")
    if min(x, y) < 0 or min(width, height) < 1 or x + width > header.width or y + height > header.height:
        raise InputError(
            f"the region of {width}x{height} pixels at {x},{y} is not within the {header.width}x{header.height} image"
        )
    if scale not in SCALES:
        raise InputError(f"the scale is one of {', '.join(map(str, SCALES))}, not {scale}")
    return Region(x, y, width, height)


def needed_tiles(header: Header, region: Region, halo: int) -> Rectangle:
    """The tiles that the pixels of a region depend on, in the grid of tiles; halo: in latent positions."""
    pixels = Rectangle(region.y, region.x, region.height, region.width)
    return pixels.covering(PATCH).grown(halo, all_latents(header)).covering(tile_side(header))


def tiles_area(header: Header, tiles: Rectangle) -> Rectangle:
    """The latent positions of a rectangle of tiles, which is given in the grid of tiles."""
    return tiles.scaled(tile_side(header)).clipped(all_latents(header))


def show(
    parts: Iterable[Pixels], origin: tuple[int, int], region: Region, scale: int, write: Write | None = None
) -> Pixels:
    """The pixels of a region, reduced by a scale: uint8 [ceil(H / scale), ceil(W / scale), ...].

    parts: the pixels of an area around it, in rows from the top. origin: the area's first row and column, in pixels.
    write: takes the result in rows as they come; what is returned then is a blank image of that shape, which needs no
    memory.
    """
    height = -(-region.height // scale)
    shown: Pixels | None = None
    top = 0
    for part in _reduce_parts(_crop_parts(parts, origin, region), scale):
        if shown is None:
            shape = (height, *part.shape[1:])
            shown = np.broadcast_to(np.zeros(1, np.uint8), shape) if write else np.empty(shape, np.uint8)
        if write:
            write(part)
        else:
            shown[top : top + len(part)] = part
            top += len(part)
    assert shown is not None  # a region is not empty
    return shown


def _crop_parts(parts: Iterable[Pixels], origin: tuple[int, int], region: Region) -> Iterator[Pixels]:
    """The pixels of a region, in rows from the top, out of those of an area around it, which begins at the origin."""
    top, left = origin[0], region.x - origin[1]
    for part in parts:
        first, last = max(region.y - top, 0), min(region.y + region.height - top, len(part))
        if first < last:
            yield part[first:last, left : left + region.width]
        top += len(part)


def _reduce_parts(parts: Iterable[Pixels], scale: int) -> Iterator[Pixels]:
    """Means over blocks of scale x scale pixels of an image that comes in rows; the last block of a row or column
    may be smaller."""
    rest: Pixels | None = None
    for part in parts:
        rest = part if rest is None else np.concatenate([rest, part])
        ready = len(rest) - len(rest) % scale
        if ready:
            yield reduced(rest[:ready], scale)
        rest = rest[ready:]
    if rest is not None and len(rest):
        yield reduced(rest, scale)


def reduced(pixels: Pixels, scale: int) -> Pixels:
    """The means over blocks of scale x scale pixels of an image, uint8 [H, W, ...]; the last ones may be smaller."""
    if scale == 1:
        return pixels
    starts = [np.arange(0, size, scale) for size in pixels.shape[:2]]
    sums = np.add.reduceat(np.add.reduceat(pixels.astype(np.uint32), starts[0], axis=0), starts[1], axis=1)
    sizes = [np.diff(np.append(start, size)) for start, size in zip(starts, pixels.shape[:2], strict=True)]
    counts = np.multiply.outer(*sizes).reshape(sums.shape[:2] + (1,) * (pixels.ndim - 2))
    means: Pixels = ((sums + counts // 2) // counts).astype(np.uint8)
    return means
