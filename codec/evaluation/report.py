"""The report: one HTML file with everything in it, which loads nothing from anywhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from ..model.arrays import Pixels
from ..model.distortion import psnr
from .anchors import Anchor, drawn
from .curve import delta
from .images import TestImage, read_rgb
from .measure import largest_within, load
from .metrics import METRICS
from .slider import PAGE, SCRIPT, STYLE, SliderImage, slider
from .style import ANCHOR, DASHES, colours, is_own
from .summary import WEIGHTING, Summary, finite

SHOWN_PIXELS = 1 << 20
"""Larger images are compared whole, and shown as a piece of their middle of at most about this many pixels."""

_BROWSER_TYPES = {"jpeg": "image/jpeg", "jpeg-444": "image/jpeg", "webp": "image/webp"}
"""Formats whose files browsers show just as Pillow decodes them; the others are embedded as decoded, losslessly."""


@dataclass(frozen=True)
class Coded:
    """A file of a comparison and what it decodes to. fits: whether it is as small as was asked for."""

    codec: str
    quality: float
    data: bytes
    pixels: Pixels
    psnr: float
    fits: bool


@dataclass(frozen=True)
class Comparison:
    """An image in files of equal size. target: that size in bytes."""

    image: TestImage
    bpp: float
    target: int
    files: Sequence[Coded]


def compare(
    summary: Summary, images: Sequence[TestImage], rates: Sequence[float], cache: Path | None, threads: int
) -> list[Comparison]:
    """Each image at each rate (bits per pixel): the largest file of each codec that is not larger than this codec's.

    This codec's own (or, where it is not measured, the reference's) is the largest within the rate.
    """
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
                files.append(Coded(codec, quality, data, pixels, psnr(original, pixels), len(data) <= len(first)))
            comparisons.append(Comparison(image, bpp, len(first), files))
    return comparisons


def make_report(
    summary: Summary, facts: dict[str, Any], anchors: Sequence[Anchor], comparisons: Sequence[Comparison]
) -> str:
    """The page. facts: what `Summary.to_json` is given besides."""
    template = Template((PAGE / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(f"{summary.title[0].upper()}{summary.title[1:]}"),
        style=(PAGE / "report.css").read_text(encoding="utf-8") + STYLE,
        notes="".join(f"<p class=note>{escape(line)}.</p>" for line in summary.too_small()),
        table=_table(summary),
        anchors=_anchor_table(summary, anchors),
        comparisons="".join(map(_comparison, comparisons)),
        weighting=escape(WEIGHTING),
        settings="".join(
            f"<li><b>{escape(codec)}</b>: "
            + escape(", ".join(f"{key} {value}" for key, value in summary.settings[codec].items()))
            for codec in summary.codecs
        ),
        facts=escape(
            f"cae {facts['cae']}, {facts['date']}, {facts['machine']}; {facts['jobs']} at a time, "
            f"{facts['threads_per_job']} threads each"
        ),
        # Nothing in it can end the script element, whatever the images are called.
        data=json.dumps(_chart_data(summary, anchors), allow_nan=False).replace("<", "\\u003c"),
        script=SCRIPT + (PAGE / "chart.js").read_text(encoding="utf-8"),
    )


def _table(summary: Summary) -> str:
    """Deltas (if the images are worth them) and times of each codec."""
    names = list(summary.metrics) if summary.conclusive else []
    colour = colours(summary.codecs)
    heads = [f"BD-rate<br>{METRICS[name].label}" for name in names]
    if names:
        heads += [f"over<br>{METRICS[names[0]].label}", f"BD-{METRICS[names[0]].label}"]
    rows = []
    for codec in summary.codecs:
        cells = []
        deltas = [summary.delta(codec, name) for name in names]
        for found in deltas:
            if isinstance(found, str):
                cells.append(f"<td class=quiet>{found}")
            else:
                better = "better" if found.rate < -0.5 else "worse" if found.rate > 0.5 else ""
                overlap = f"over {found.low:.1f} to {found.high:.1f}"
                cells.append(f'<td class="{better}" title="{overlap}">{_signed(found.rate, 1)} %')
        if deltas:
            first = deltas[0]
            cells += (
                ["<td>", "<td>"]
                if isinstance(first, str)
                else [f"<td>{first.low:.1f}&ndash;{first.high:.1f}", f"<td>{_signed(first.gain, 2)}"]
            )
        cells += [f"<td>{1000 * seconds:,.{0 if seconds >= 0.01 else 1}f} ms" for seconds in summary.times(codec)]
        name = f'<th scope=row><i style="background:{colour[codec]}"></i>{escape(codec)}'
        rows.append(f"<tr{' class=own' if is_own(codec) else ''}>{name}{''.join(cells)}")
    head = "".join(f"<th scope=col>{text}" for text in ["codec", *heads, "encode", "decode"])
    caption = (
        f"BD-rate against {escape(summary.reference)}: mean difference in file size at equal quality over the range "
        "that both curves cover; negative is smaller. Times are medians for a file."
        if names
        else "No BD-rates: images made on the spot say nothing about photographs. Times are medians for a file."
    )
    return f"<div class=wide><table><thead><tr>{head}<tbody>{''.join(rows)}</table></div><p class=note>{caption}</p>"


def _anchor_table(summary: Summary, anchors: Sequence[Anchor]) -> str:
    """Published curves against the reference as it was measured here."""
    if not anchors or not summary.conclusive or "psnr" not in summary.metrics:
        return ""
    reference = summary.curve(summary.reference, "psnr")
    found = sorted(((delta(reference, anchor.curve), anchor) for anchor in anchors), key=lambda pair: pair[0].rate)
    rows = "".join(
        f"<tr><th scope=row>{escape(anchor.codec)}<td>{_signed(result.rate, 1)} %"
        f"<td>{result.low:.1f}&ndash;{result.high:.1f}<td class=source>{escape(anchor.source)}"
        for result, anchor in found
    )
    return (
        "<details><summary>Published results on these images</summary><div class=wide><table><thead><tr>"
        "<th scope=col>codec<th scope=col>BD-rate<br>PSNR<th scope=col>over<br>PSNR<th scope=col class=source>source"
        f"<tbody>{rows}</table></div><p class=note>Against {escape(summary.reference)} as measured here. Not measured "
        "by this command: the points are those that each source gives for the same images.</p></details>"
    )


def _comparison(comparison: Comparison) -> str:
    """A slider over the original and all files, this codec's on the right, the next on the left."""
    image = comparison.image
    original = read_rgb(image.path)[0]
    top, left, height, width = _piece(image.height, image.width)
    whole = (height, width) == (image.height, image.width)

    def crop(pixels: Pixels) -> Pixels:
        return pixels[top : top + height, left : left + width]

    pictures = [SliderImage.lossless("original", f"{image.width}x{image.height}", crop(original))]
    rows = []
    for file in comparison.files:
        note = f"{len(file.data):,} bytes, {file.psnr:.2f} dB"
        media_type = _BROWSER_TYPES.get(file.codec) if whole else None
        if media_type:
            pictures.append(SliderImage(file.codec, note, file.data, media_type))
        else:
            pictures.append(SliderImage.lossless(file.codec, note, crop(file.pixels)))
        remark = "" if file.fits else "its smallest file; larger than the others"
        rows.append(
            f"<tr{' class=own' if is_own(file.codec) else ''}><th scope=row>{escape(file.codec)}<td>{file.quality:g}"
            f"<td>{len(file.data):,}<td>{8 * len(file.data) / image.pixels:.3f}<td>{file.psnr:.2f}"
            f"<td class=source>{remark}"
        )
    piece = "" if whole else f" Shown is the middle, {width}x{height} pixels; the files are of the whole image."
    return (
        f"<section class=comparison><h3>{escape(image.name)} at {comparison.bpp:g} bits per pixel</h3>"
        + slider(pictures, width, height, left=2 if len(pictures) > 2 else 0, right=1)
        + f"<details><summary>Files of at most {comparison.target:,} bytes</summary><div class=wide><table><thead><tr>"
        "<th scope=col>codec<th scope=col>quality<th scope=col>bytes<th scope=col>bpp<th scope=col>PSNR, dB"
        f"<th scope=col class=source><tbody>{''.join(rows)}</table></div><p class=note>Of each codec the quality whose "
        f"file is the largest within that size, found by bisection.{piece}</p></details></section>"
    )


def _piece(height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height, width of what is shown of an image."""
    if height * width <= SHOWN_PIXELS:
        return 0, 0, height, width
    share = (SHOWN_PIXELS / (height * width)) ** 0.5
    rows, columns = max(1, int(height * share)), max(1, int(width * share))
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def _chart_data(summary: Summary, anchors: Sequence[Anchor]) -> dict[str, Any]:
    """What chart.js draws: points of the means and of each image as [quality, rate, value of each metric, ms, ms]."""
    colour = colours(summary.codecs)

    def row(quality: float, bpp: float, metrics: dict[str, float], *seconds: float) -> list[float | None]:
        drawn = (finite(METRICS[name].curve(metrics[name])) for name in summary.metrics)
        rounded = (None if value is None else round(value, 4) for value in drawn)
        return [quality, round(bpp, 5), *rounded, *(round(1000 * time, 1) for time in seconds)]

    own: dict[tuple[str, str], list[Any]] = {}
    for point in summary.measurements:
        own.setdefault((point.codec, point.image), []).append(
            row(point.quality, point.bpp, point.metrics, point.encode_seconds, point.decode_seconds)
        )
    return {
        "metrics": [METRICS[name].axis for name in summary.metrics],
        "images": [image.name for image in summary.images],
        "codecs": [
            {
                "name": codec,
                "colour": colour[codec],
                "own": is_own(codec),
                "mean": [
                    row(mean.quality, mean.bpp, mean.metrics, mean.encode_seconds, mean.decode_seconds)
                    for mean in summary.means_of(codec)
                ],
                "images": [own[codec, image.name] for image in summary.images],
            }
            for codec in summary.codecs
        ],
        "anchors": [
            {"name": anchor.label, "dashes": dashes, "points": [list(point) for point in anchor.points]}
            for anchor, dashes in zip(drawn(anchors), itertools.cycle(DASHES), strict=False)
        ],
        "anchorColour": ANCHOR,
        "anchored": summary.metrics.index("psnr") if "psnr" in summary.metrics else None,
    }


def _signed(value: float, digits: int) -> str:
    """With a minus sign that is as wide as a plus."""
    return "&ndash;" if value != value else f"{value:+.{digits}f}".replace("-", "&minus;")
