"""Codecs at equal quality and at equal rate, as lines for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..codec.evaluation.equal import NO_CURVE, Size, sizes, values_at
from ..codec.evaluation.metrics import METRICS
from ..codec.evaluation.summary import Summary
from ..codec.evaluation.target import Target
from .columns import columns, wrapped

NONE = "\u2014"
"""The cell of a table where nothing was measured, or there is nothing to compare with."""


def equal_lines(summary: Summary) -> Iterator[str]:
    """The lines of a summary's targets: sizes of all codecs at values of metrics, then their metrics at rates."""
    targets = [target for target in summary.at if target.name != "bpp"]
    if targets:
        yield ""
        yield from _size_lines(summary, targets)
    for target in summary.at:
        if target.name == "bpp":
            yield ""
            yield from _value_lines(summary, target.value)


def _size_lines(summary: Summary, targets: Sequence[Target]) -> Iterator[str]:
    reference = summary.label(summary.reference)
    head = "Bits per pixel at equal quality"
    if summary.conclusive:
        head += f", and the difference from {reference} in percent (negative: smaller)"
    yield from wrapped(f"{head}. Interpolated on the curves of the means; {NONE} outside what was measured.")
    found = [sizes(summary, target) for target in targets]
    rows = [
        [
            summary.label(codec),
            *(_size(size[codec], summary.conclusive and codec != summary.reference) for size in found),
        ]
        for codec in summary.codecs
    ]
    yield from columns(["codec", *map(str, targets)], rows)
    for target, size in zip(targets, found, strict=True):
        if summary.conclusive and size[summary.reference].none:
            yield from wrapped(f"{reference} has no size at {target}: no differences there.")


def _size(size: Size, compared: bool) -> str:
    if size.none:
        return f"{NO_CURVE if size.none == NO_CURVE else NONE:>5} {'':>9}"
    percent = "" if not compared else NONE if math.isnan(size.percent) else f"{size.percent:+.1f} %"
    return f"{size.bpp:.3f} {percent:>9}"


def _value_lines(summary: Summary, bpp: float) -> Iterator[str]:
    yield f"Quality at {bpp:g} bits per pixel, interpolated on the curves of the means."
    rows = []
    for codec, values in values_at(summary, bpp).items():
        cells = (NONE if math.isnan(value) else f"{value:.{METRICS[name].digits}f}" for name, value in values.items())
        rows.append([summary.label(codec), *cells])
    yield from columns(["codec", *(METRICS[name].label for name in summary.metrics)], rows)
