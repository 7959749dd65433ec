"""Codecs at equal quality and at equal rate, as the HTML of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .equal import NO_CURVE, Size, sizes, sizes_of_image, values_at
from .metrics import METRICS
from .report_tables import codec_head, signed, verdict
from .style import is_own
from .summary import Summary
from .target import Target

NONE = "&mdash;"


def equal_tables(summary: Summary) -> str:
    """The tables at each quality and rate asked for, "" if there are none."""
    targets = [target for target in summary.at if target.name != "bpp"]
    rates = [target.value for target in summary.at if target.name == "bpp"]
    parts = [_sizes(summary, targets)] if targets else []
    parts += [_images(summary, target) for target in targets]
    parts += [_values(summary, bpp) for bpp in rates]
    return "".join(parts)


def _sizes(summary: Summary, targets: Sequence[Target]) -> str:
    reference = escape(summary.label(summary.reference))
    found = [sizes(summary, target) for target in targets]
    rows = ""
    for codec in summary.codecs:
        cells = "".join(_cells(size[codec], codec == summary.reference, summary.conclusive) for size in found)
        rows += f"{codec_head(summary, codec)}{cells}"
    columns = 2 if summary.conclusive else 1
    heads = "".join(f"<th scope=colgroup colspan={columns}>{escape(str(target))}" for target in targets)
    unreached = [str(target) for target, size in zip(targets, found, strict=True) if size[summary.reference].none]
    note = (
        f"Bits per pixel at equal quality, interpolated on the curves of the means; {NONE} outside what was measured."
    )
    if summary.conclusive:
        note += f" Percent: the difference from {reference}; negative is smaller."
        note += (
            f" {reference} has no size at {escape(', '.join(unreached))}: no differences there." if unreached else ""
        )
    return (
        f"<div class=wide><table><thead><tr><th scope=col>codec{heads}"
        f"<tbody>{rows}</table></div><p class=note>{note}</p>"
    )


def _cells(size: Size, is_reference: bool, differences: bool) -> str:
    bpp = f"<td class=quiet>{_none(size)}" if size.none else f"<td>{size.bpp:.3f}"
    if not differences:
        return bpp
    if is_reference or math.isnan(size.percent):
        return f"{bpp}<td class=quiet>{'' if is_reference else NONE}"
    return f'{bpp}<td class="{verdict(size.percent)}">{signed(size.percent, 1)} %'


def _none(size: Size) -> str:
    return NO_CURVE if size.none == NO_CURVE else NONE


def _images(summary: Summary, target: Target) -> str:
    """A table of each image's sizes at a quality, against the reference's, and of how many are smaller."""
    others = [codec for codec in summary.codecs if codec != summary.reference]
    smaller = dict.fromkeys(others, 0)
    compared = dict.fromkeys(others, 0)
    rows = ""
    for image in summary.images:
        rows += f"<tr><th scope=row>{escape(image.name)}"
        for codec, size in sizes_of_image(summary, image.name, target).items():
            percent = "" if math.isnan(size.percent) or codec == summary.reference else signed(size.percent, 0)
            if percent:
                compared[codec] += 1
                smaller[codec] += size.percent < 0
            bpp = _none(size) if size.none else f"{size.bpp:.3f}"
            rows += f"<td>{bpp}" + (f' <span class="{verdict(size.percent)}">{percent} %</span>' if percent else "")
    if summary.conclusive:
        counts = "".join(
            f"<td>{smaller[codec]} of {compared[codec]}" if codec in smaller else "<td>" for codec in summary.codecs
        )
        rows += f"<tr class=total><th scope=row>smaller than {escape(summary.label(summary.reference))}{counts}"
    heads = "".join(
        f"<th scope=col{' class=own' if is_own(codec) else ''}>{escape(summary.label(codec))}"
        for codec in summary.codecs
    )
    return (
        f"<details><summary>Each image at {escape(str(target))}</summary><div class=wide><table><thead><tr>"
        f"<th scope=col>image{heads}<tbody>{rows}</table></div><p class=note>Bits per pixel, interpolated on the curve "
        "of the image, and the difference from the reference on it.</p></details>"
    )


def _values(summary: Summary, bpp: float) -> str:
    rows = ""
    for codec, values in values_at(summary, bpp).items():
        rows += codec_head(summary, codec)
        for name, value in values.items():
            rows += f"<td class=quiet>{NONE}" if math.isnan(value) else f"<td>{value:.{METRICS[name].digits}f}"
    heads = "".join(f"<th scope=col>{METRICS[name].label}" for name in summary.metrics)
    return (
        f"<h3>At {bpp:g} bits per pixel</h3><div class=wide><table><thead><tr><th scope=col>codec{heads}"
        f"<tbody>{rows}</table></div>"
        f"<p class=note>Interpolated on the curves of the means; {NONE} outside what was measured.</p>"
    )
