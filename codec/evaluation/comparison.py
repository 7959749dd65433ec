"""An image compared with files of it: metrics, and a page with sliders, differences and maps of bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from ...bitstream.container import unpack
from ...bitstream.errors import InputError
from ...bitstream.header import MAGIC, read_header
from ..bit_usage import bit_usage, bits_map
from ..image.picture import Picture, read_picture, to_rgb
from ..model.arrays import Pixels
from ..select import load_decoder
from .blocks import BLOCKS, FRAMED, BlockErrors, block_errors
from .metrics import METRICS
from .slider import PAGE, SCRIPT, STYLE, Frame, SliderImage, slider

GAIN = 8
"""The factor by which differences are shown larger: errors of a few levels are hard to see."""


@dataclass(frozen=True)
class Version:
    """A file of an image. pixels: uint8 RGB [H, W, 3]; notes: what was converted; bits: of a .cae file the map of
    `bits_map`, and what its brightest colour stands for in bits per pixel."""

    name: str
    bytes: int
    pixels: Pixels
    notes: tuple[str, ...] = ()
    bits: tuple[Image.Image, float] | None = None

    @property
    def bpp(self) -> float:
        """Bits per pixel of the whole file."""
        return 8 * self.bytes / self.pixels[..., 0].size

    def measure(self, original: Pixels) -> dict[str, float]:
        """The value of each metric against the original, by name."""
        return {name: metric.measure(original, self.pixels) for name, metric in METRICS.items()}


def open_version(name: str, data: bytes, maps: bool) -> Version:
    """An image file or a .cae file, decoded. maps: whether to make the map of a .cae file's bits. Raises CaeError."""
    if not data.startswith(MAGIC) and Path(name).suffix.lower() != ".cae":
        return Version(name, len(data), *_on_white(read_picture(BytesIO(data))))
    header = read_header(data)
    codec = load_decoder("auto", header)
    seen = _on_white(codec.decode(data))
    bits = bits_map(bit_usage(codec, unpack(data)), header.width, header.height) if maps else None
    return Version(name, len(data), *seen, bits)


def _on_white(picture: Picture) -> tuple[Pixels, tuple[str, ...]]:
    """A picture's pixels over white, uint8 RGB [H, W, 3], and its notes. Under transparent pixels an encoder replaces
    the colours, so that they must not count as errors."""
    pixels = to_rgb(picture.pixels)
    if picture.alpha is None or picture.alpha.min() == 255:
        return pixels, picture.notes
    alpha = picture.alpha[..., None].astype(np.uint16)
    blended = (pixels * alpha + 255 * (255 - alpha) + 127) // 255
    return blended.astype(np.uint8), (*picture.notes, "transparent, measured on white")


def check_sizes(original: Version, version: Version) -> None:
    """Raises InputError for images of different sizes."""
    if original.pixels.shape != version.pixels.shape:
        sizes = [f"{v.pixels.shape[1]}x{v.pixels.shape[0]}" for v in (version, original)]
        raise InputError(f"{version.name} has {sizes[0]} pixels, {original.name} {sizes[1]}: they cannot be compared")


def table(original: Version, versions: Sequence[Version]) -> tuple[list[str], list[list[str]]]:
    """A table of the files: its heads, and for the original and each version a row of name, size and metrics."""
    heads = ["file", "bytes", "bpp", *(metric.label for metric in METRICS.values())]
    rows = [[original.name, f"{original.bytes:,}", f"{original.bpp:.3f}", *("" for _ in METRICS)]]
    for version in versions:
        values = version.measure(original.pixels)
        shown = [f"{values[name]:.{metric.digits}f}" for name, metric in METRICS.items()]
        rows.append([version.name, f"{version.bytes:,}", f"{version.bpp:.3f}", *shown])
    return heads, rows


def worst_blocks(original: Version, versions: Sequence[Version]) -> list[BlockErrors | None]:
    """The worst block of each version; None for one that equals the original."""
    return [block_errors(original.pixels, version.pixels) for version in versions]


def make_page(
    original: Version,
    versions: Sequence[Version],
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    worst: Sequence[BlockErrors | None],
) -> str:
    """An HTML page that loads nothing: the heads and rows of `table`, and a slider over all pictures, differences and
    maps, with a frame around the worst block of each version, as of `worst_blocks`."""
    height, width = original.pixels.shape[:2]
    frames = [Frame(*errors.rectangle(width, height), str(errors)) if errors else None for errors in worst]
    pictures = [SliderImage.lossless(original.name, f"{original.bytes:,} bytes", original.pixels)]
    for version, frame in zip(versions, frames, strict=True):
        pictures.append(SliderImage.lossless(version.name, f"{version.bytes:,} bytes", version.pixels, frame))
    for version, frame in zip(versions, frames, strict=True):
        error = np.abs(original.pixels.astype(np.int16) - version.pixels)
        shown = np.minimum(GAIN * error, 255).astype(np.uint8)
        pictures.append(SliderImage.lossless(f"difference of {version.name}", f"absolute, x{GAIN}", shown, frame))
        if version.bits:
            picture, most = version.bits
            note = f"brightest: {most:.2f} bits per pixel"
            pictures.append(SliderImage.lossless(f"bits of {version.name}", note, np.asarray(picture), frame))
    blocks = [[f"{errors.ratio:.1f}x", f"{errors.x},{errors.y}"] if errors else ["none", ""] for errors in worst]
    cells = "".join(
        f"<tr><th scope=row>{escape(row[0])}" + "".join(f"<td>{value}" for value in [*row[1:], *block])
        for row, block in zip(rows, [["", ""], *blocks], strict=True)
    )
    head = "".join(f"<th scope=col>{escape(text)}" for text in [*heads, "worst block", "at x,y"])
    return Template((PAGE / "compare.html").read_text(encoding="utf-8")).substitute(
        title=escape(original.name),
        style=(PAGE / "report.css").read_text(encoding="utf-8") + STYLE,
        slider=slider(pictures, width, height, framed=FRAMED),
        table=f"<div class=wide><table><thead><tr>{head}<tbody>{cells}</table></div><p class=note>{BLOCKS}</p>",
        script=SCRIPT,
    )
