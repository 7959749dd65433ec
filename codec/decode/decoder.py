"""Files to pictures: limits, damage, regions and scales, and the tiles one by one through a coder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from ...bitstream.container import Container, patches_of, skipped_cells, unpack
from ...bitstream.errors import CorruptError, DecodeMismatchError, LimitError, WrongWeightsError
from ...bitstream.header import LATENT_SIDE, Header, read_header, tile_grid, tile_rectangles
from ...bitstream.limits import DEFAULT_MAX_PIXELS
from ...bitstream.patches import Patches
from ...bitstream.rectangle import Rectangle
from ...bitstream.salvage import Salvage, salvage
from ..backends.previews import SIDE
from ..image.chunks import from_chunks, stands_for_rgb
from ..image.metadata import fit_metadata
from ..image.picture import Picture, to_grey, to_rgb
from ..machine.memory import memory_errors
from ..model.arrays import Latents, Pixels
from . import previews, synthesis_windows
from .damage import Damage
from .patches import PatchLayer
from .region import Write, asked, needed_tiles, show, tiles_area, whole
from .synthesis_windows import TileDecoder

Progress = Callable[[int, int], None]
"""Called with the number of tiles done and of all tiles, after each."""


def silent(done: int, total: int) -> None:
    """Reports no progress."""


def _write_as_rgb(write: Write, rows: Pixels) -> None:
    write(to_rgb(rows))


class Decoder:
    """Decodes whole files, tile by tile: those that were made with the weights that `fingerprint` names."""

    def __init__(self, coder: TileDecoder, fingerprint: bytes) -> None:
        self.coder = coder
        self.fingerprint = fingerprint

    def decode(
        self,
        data: bytes,
        *,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        allow_damaged: bool = False,
        region: tuple[int, int, int, int] | None = None,
        scale: int = 1,
        write: Write | None = None,
        progress: Progress = silent,
    ) -> Picture:
        """The picture in a file.

        max_pixels: an image with more of them is refused before anything is allocated for it. allow_damaged: tiles
        that are damaged become grey, and metadata or an alpha plane that is damaged is left out; `notes` names them.
        region: x, y, width and height in pixels of the part that is wanted; only the tiles that it depends on are
        decoded, and its pixels are those of the whole. scale: 1, 2, 4, 8 or 16 pixels to a side become one, their
        mean, or from 8 on about that (`previews`). write: takes the pixels as they are decoded, in rows from the top,
        and those of the picture are blank. Raises BitstreamError (LimitError for too many pixels), WeightsError,
        MemoryLimitError, or InputError for a region that is not within the image.
        """
        header = read_header(data)
        check_size(header.width, header.height, max_pixels)
        part = asked(header, region, scale)
        saved = salvage(data) if allow_damaged else Salvage(unpack(data), frozenset(), 0)
        self.check_weights(header)
        damage = Damage(header, saved.damaged_tiles)
        patches = patches_of(header, saved.container.chunks, allow_damaged=allow_damaged)
        layer = PatchLayer(patches, header.height, header.width, allow_damaged)
        small = previews.suffice(part, scale)
        tiles = needed_tiles(header, part, 0 if small else self.coder.halo)
        area = tiles_area(header, tiles)
        with memory_errors():
            bands = self._decode_bands(saved.container, patches, tiles, damage if allow_damaged else None, progress)
            if small:
                parts = previews.previews(self.coder, header, bands, area, damage, layer)
                view, divisor, side = previews.in_previews(part), scale // SIDE, LATENT_SIDE // SIDE
            else:
                parts = self._synthesise(header, bands, area, damage, layer)
                view, divisor, side = part, scale, LATENT_SIDE
            parts = map(to_grey, parts) if header.grey else parts
            in_colour = stands_for_rgb(saved.container.chunks, header)
            if write and in_colour:
                write = partial(_write_as_rgb, write)
            pixels = show(parts, (side * area.top, side * area.left), view, divisor, write)
            pixels = to_rgb(pixels) if in_colour else pixels
            damaged_chunks = saved.damaged_chunks if allow_damaged else None
            alpha, metadata, missing = from_chunks(saved.container.chunks, header, damaged_chunks)
            alpha = alpha if alpha is None else show([alpha], (0, 0), part, scale)
        height, width = pixels.shape[:2]
        is_part = part != whole(header)
        metadata, unfit = fit_metadata(
            metadata, width, height, moved="this is a part of the picture" if is_part else ""
        )
        lost = (*damage.notes(), *layer.notes(), *missing)
        return Picture(pixels, alpha, metadata, (*lost, *unfit), is_damaged=bool(lost))

    def decode_latents(self, container: Container) -> Latents:
        """The latents of the whole image, int32 [h, w, M] in sixteenths of a quantisation step. Raises as `decode`."""
        self.check_weights(container.header)
        tiles = Rectangle(0, 0, *tile_grid(container.header))
        patches = patches_of(container.header, container.chunks)
        return np.concatenate(list(self._decode_bands(container, patches, tiles, None, silent)))

    def check_weights(self, header: Header) -> None:
        """Raises WrongWeightsError for a file that was made with other weights."""
        if header.fingerprint != self.fingerprint:
            raise WrongWeightsError(
                f"the file needs weights {header.fingerprint.hex()}, these are {self.fingerprint.hex()}"
            )

    def _decode_bands(
        self,
        container: Container,
        patches: Patches | None,
        tiles: Rectangle,
        damage: Damage | None,
        progress: Progress,
    ) -> Iterator[Latents]:
        """The latents of one row of tiles after the other.

        patches: those of the file. tiles: those that are wanted, in the grid of tiles. damage: lost tiles, whose
        latents are 0; tiles that do not decode are added to it. None raises CorruptError or DecodeMismatchError for
        them.
        """
        header = container.header
        rectangles = tile_rectangles(header)
        per_row = tile_grid(header)[1]
        tried = 0
        for row in range(tiles.top, tiles.bottom):
            indices = range(per_row * row + tiles.left, per_row * row + tiles.right)
            decoded: list[Latents] = []
            for index in indices:
                _, _, height, width = rectangles[index]
                skipped = skipped_cells(patches, rectangles[index])
                if damage is None or index not in damage:
                    try:
                        tile = container.tiles[index]
                        decoded.append(self.coder.latents(tile, height, width, header.rate_index, skipped))
                    except (CorruptError, DecodeMismatchError):
                        if damage is None:
                            raise
                        damage.add(index)
                        if damage.is_total():
                            raise
                if damage is not None and index in damage:  # before or by now
                    decoded.append(np.zeros((height, width, self.coder.channels), np.int32))
                tried += 1
                progress(tried, tiles.height * tiles.width)
            yield decoded[0] if len(decoded) == 1 else np.concatenate(decoded, axis=1)

    def _synthesise(
        self, header: Header, bands: Iterator[Latents], area: Rectangle, damage: Damage, layer: PatchLayer
    ) -> Iterator[Pixels]:
        """The pixels of an area of the padded image, in rows from the top: uint8 [h, W, 3]."""
        top, left = LATENT_SIDE * area.top, LATENT_SIDE * area.left
        for part in synthesis_windows.synthesise(
            self.coder,
            bands,
            header.rate_index,
            (area.top, area.left),
            lambda own: damage.covers(own) or layer.cover(own),
        ):
            damage.blank(part, top, left)
            layer.lay_over(part, top, left)
            yield part
            top += len(part)


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raises LimitError for an image of more pixels."""
    if width * height > max_pixels:
        raise LimitError(f"{width} x {height} pixels, at most {max_pixels:,} are accepted")
