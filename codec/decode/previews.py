"""Pictures of an eighth of the size, or less, without the networks that make pixels of latents.

A preview has a pixel for each square of 8x8, which the linear transform alone gives, about the mean of those that the
networks would show. Regions that begin within such a square are left to the networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ...bitstream.header import LATENT_SIDE, Header
from ...bitstream.rectangle import Rectangle
from ..backends.previews import SIDE
from ..model.arrays import Latents, Pixels
from .damage import Damage
from .patches import PatchLayer
from .region import Region, reduced
from .synthesis_windows import TileDecoder


def suffice(region: Region, scale: int) -> bool:
    """Whether previews show a region at a scale: one that takes whole squares to a pixel, from a square's corner on."""
    return scale % SIDE == 0 and region.x % SIDE == 0 and region.y % SIDE == 0


def in_previews(region: Region) -> Region:
    """A region that begins at a square's corner, in pixels of previews."""
    x, y, width, height = region
    return Region(x // SIDE, y // SIDE, -(-width // SIDE), -(-height // SIDE))


def previews(
    coder: TileDecoder, header: Header, bands: Iterable[Latents], area: Rectangle, damage: Damage, layer: PatchLayer
) -> Iterator[Pixels]:
    """The previews of an area of the padded image, in rows from the top: parts uint8 [2h, 2w, 3].

    bands: the latents of the area, which is in latent positions, int32 [h, w, M] from the top. Lost tiles become grey,
    patches are laid over.
    """
    top, left = (LATENT_SIDE // SIDE * start for start in (area.top, area.left))
    for band in bands:
        part = coder.preview(band, header.rate_index)
        damage.blank(part, top, left, SIDE)
        yield _laid_over(layer, header, part, top, left) if layer else part
        top += len(part)


def _laid_over(layer: PatchLayer, header: Header, part: Pixels, top: int, left: int) -> Pixels:
    """A part of the previews, which begins at `top` and `left`, under patches. Of squares that patches cover in part,
    the preview shows the rest. What pads the image is left out: nothing is known of it where cells are skipped."""
    top, left = SIDE * top, SIDE * left
    part = part[: -(-(header.height - top) // SIDE), : -(-(header.width - left) // SIDE)]
    pixels = np.repeat(np.repeat(part, SIDE, axis=0), SIDE, axis=1)[: header.height - top, : header.width - left]
    layer.lay_over(pixels, top, left)
    return reduced(pixels, SIDE)
