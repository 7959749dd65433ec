"""Comparison of codecs in files of equal size: the sliders of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from ..model.arrays import Pixels
from ..model.distortion import psnr
from .blocks import BLOCKS, FRAMED, BlockErrors, block_errors
from .images import TestImage, read_rgb
from .measure import largest_within, load
from .slider import Frame, SliderImage, slider
from .style import is_own
from .summary import Summary

SHOWN_PIXELS = 1 << 20
"""Pixels of an image that are shown, about: of a larger one, which is coded whole, a piece of its middle."""

_BROWSER_TYPES = {"jpeg": "image/jpeg", "jpeg-444": "image/jpeg", "webp": "image/webp"}
"""Formats whose files browsers show just as Pillow decodes them; the others are embedded as decoded, losslessly."""


@dataclass(frozen=True)
class Coded:
    """A file of a comparison and its decoded pixels, uint8 RGB [H, W, 3]. psnr: in dB; fits: whether it is no larger
    than was asked for; errors: where it differs from the original, None if it does not."""

    codec: str
    quality: float
    data: bytes
    pixels: Pixels
    psnr: float
    fits: bool
    errors: BlockErrors | None


@dataclass(frozen=True)
class Comparison:
    """An image in files of about equal size. bpp: the rate asked for; target: bytes that they must not exceed."""

    image: TestImage
    bpp: float
    target: int
    files: Sequence[Coded]


def compare(
    summary: Summary, images: Sequence[TestImage], rates: Sequence[float], cache: Path | None, threads: int
) -> list[Comparison]:
    """Codes each image at each rate, in bits per pixel. The file of this project's codec, or of the reference where
    that is not measured, is the largest within the rate; that of any other codec is the largest that is not larger.

    cache: the folder of results, or None. threads: of each codec."""
    own = next((codec for codec in summary.codecs if is_own(codec)), summary.reference)
    comparisons = []
    for image in images:
        original = read_rgb(image.path)[0]
        for bpp in rates:
            _, first = largest_within(image, own, bpp * image.pixels / 8, cache, threads)
            files = []
            for codec in [own, *(codec for codec in summary.codecs if codec != own)]:
                quality, data = largest_within(image, codec, len(first), cache, threads)
                pixels = load(codec, threads).decode(data)
                values = psnr(original, pixels), len(data) <= len(first), block_errors(original, pixels)
                files.append(Coded(codec, quality, data, pixels, *values))
            comparisons.append(Comparison(image, bpp, len(first), files))
    return comparisons


def show(comparison: Comparison) -> str:
    """HTML of a comparison: a slider over the original and all files, at first this project's on the right and the next
    codec's on the left, and a table of the files."""
    image = comparison.image
    original = read_rgb(image.path)[0]
    piece = top, left, height, width = _piece(image.height, image.width)
    whole = (height, width) == (image.height, image.width)

    def crop(pixels: Pixels) -> Pixels:
        return pixels[top : top + height, left : left + width]

    pictures = [SliderImage.lossless("original", f"{image.width}x{image.height}", crop(original))]
    rows = []
    for file in comparison.files:
        note = f"{len(file.data):,} bytes, {file.psnr:.2f} dB"
        media_type = _BROWSER_TYPES.get(file.codec) if whole else None
        frame = _frame(file.errors, image, piece)
        if media_type:
            pictures.append(SliderImage(file.codec, note, file.data, media_type, frame))
        else:
            pictures.append(SliderImage.lossless(file.codec, note, crop(file.pixels), frame))
        remark = "" if file.fits else "its smallest file; larger than the others"
        rows.append(
            f"<tr{' class=own' if is_own(file.codec) else ''}><th scope=row>{escape(file.codec)}<td>{file.quality:g}"
            f"<td>{len(file.data):,}<td>{8 * len(file.data) / image.pixels:.3f}<td>{file.psnr:.2f}"
            f"<td>{f'{file.errors.ratio:.1f}x' if file.errors else 'none'}"
            f"<td>{f'{file.errors.x},{file.errors.y}' if file.errors else ''}<td class=source>{remark}"
        )
    name = f"{image.group}: {image.name}" if image.group else image.name
    shown = "" if whole else f" Shown is the middle, {width}x{height} pixels; the files are of the whole image."
    return (
        f"<section class=comparison><h3>{escape(name)} at {comparison.bpp:g} bits per pixel</h3>"
        + slider(pictures, width, height, left=2 if len(pictures) > 2 else 0, right=1, framed=FRAMED)
        + f"<details><summary>Files of at most {comparison.target:,} bytes</summary><div class=wide><table><thead><tr>"
        "<th scope=col>codec<th scope=col>quality<th scope=col>bytes<th scope=col>bpp<th scope=col>PSNR, dB"
        f"<th scope=col>worst block<th scope=col>at x,y<th scope=col class=source><tbody>{''.join(rows)}"
        "</table></div><p class=note>Of each codec the quality whose file is the largest within that size, found "
        f"by bisection.{shown} {BLOCKS}</p></details></section>"
    )


def _piece(height: int, width: int) -> tuple[int, int, int, int]:
    """The piece that is shown of an image of this size: top, left, height, width."""
    if height * width <= SHOWN_PIXELS:
        return 0, 0, height, width
    share = (SHOWN_PIXELS / (height * width)) ** 0.5
    rows, columns = max(1, int(height * share)), max(1, int(width * share))
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def _frame(errors: BlockErrors | None, image: TestImage, piece: tuple[int, int, int, int]) -> Frame | None:
    """The frame around the worst block in a piece (top, left, height, width); None if the block lies outside."""
    if errors is None:
        return None
    top, left, height, width = piece
    x, y, wide, high = errors.rectangle(image.width, image.height)
    x, y = x - left, y - top
    inside = x + wide > 0 and y + high > 0 and x < width and y < height
    return Frame(x, y, wide, high, str(errors)) if inside else None
