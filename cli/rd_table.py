"""Summaries of measurements as lines for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..codec.evaluation.blocks import BLOCKS, TAIL
from ..codec.evaluation.metrics import METRICS
from ..codec.evaluation.summary import WEIGHTING, Mean, Summary, title_of
from .columns import WIDTH, columns, shorten, wrapped
from .rd_equal import equal_lines

_IMAGE = 20
"""Characters of an image's name in a table, at most."""


def table_lines(summaries: Sequence[Summary]) -> Iterator[str]:
    """The lines of a report: what was measured and how, then the tables of each summary."""
    title = title_of(summaries)
    yield from wrapped(f"{title[0].upper()}{title[1:]}. {WEIGHTING}")
    yield from wrapped(f"{BLOCKS} {TAIL}")
    for summary in summaries:
        if summary.group:
            yield from ("", summary.title, min(len(summary.title), WIDTH) * "=")
        yield from _lines(summary)
        yield from equal_lines(summary)


def _lines(summary: Summary) -> Iterator[str]:
    """The tables of a summary: the means of each codec, then deltas and times."""
    yield from summary.too_small()
    yield ""
    for codec in summary.codecs:
        yield summary.label(codec)
        yield from _mean_lines(summary.means_of(codec), summary.metrics)
        yield ""
    if not summary.conclusive:
        yield "No BD-rates: images made on the spot say nothing about photographs. Give your own, files or folders."
        yield ""
    yield from _delta_lines(summary)


def _mean_lines(means: Sequence[Mean], metrics: Sequence[str]) -> Iterator[str]:
    heads = ["quality", "bpp", *(METRICS[name].label for name in metrics), "99.9 %", "worst block", "at x,y"]
    images = [shorten(mean.worst.image if mean.worst else "", _IMAGE) for mean in means]
    width = max(map(len, images))
    rows = []
    for mean, image in zip(means, images, strict=True):
        row = [f"{mean.quality:g}".rjust(7), f"{mean.bpp:.3f}"]
        row += [_number(mean.metrics[name], METRICS[name].digits) for name in metrics]
        row.append(_times(mean.tail))
        if mean.worst is None:
            row += ["none", ""]
        else:
            place = f"{mean.worst.errors.x},{mean.worst.errors.y}"
            row += [_times(mean.worst.errors.ratio), f"{place} {image:{width}}"]
        rows.append(row)
    heads[-1] += " " * (width + 1)
    yield from columns(heads, rows)


def _delta_lines(summary: Summary) -> Iterator[str]:
    names = list(summary.metrics) if summary.conclusive else []
    if names:
        reference = summary.label(summary.reference)
        yield f"BD-rate against {reference}, in percent (negative: smaller files at the same quality)"
    heads = ["codec", *(METRICS[name].label for name in names)]
    if names:
        first = METRICS[names[0]].label
        heads += [f"over {first}", f"BD-{first}"]
    rows = []
    for codec in summary.codecs:
        row = [summary.label(codec)]
        for name in names:
            found = summary.delta(codec, name)
            row.append(found if isinstance(found, str) else f"{found.rate:+.1f}")
        if names:
            found = summary.delta(codec, names[0])
            row += (
                ["", ""]
                if isinstance(found, str)
                else [f"{found.low:.1f}-{found.high:.1f}", _number(found.gain, 2, "+")]
            )
        worst = summary.worst(codec)
        row.append(_times(worst.errors.ratio) if worst else "none")
        row += [f"{1000 * seconds:,.{0 if seconds >= 0.01 else 1}f} ms" for seconds in summary.times(codec)]
        rows.append(row)
    yield from columns([*heads, "worst", "encode", "decode"], rows)


def _number(value: float, digits: int, sign: str = "") -> str:
    return "-" if math.isnan(value) else "lossless" if math.isinf(value) else f"{value:{sign}.{digits}f}"


def _times(ratio: float) -> str:
    return "-" if math.isnan(ratio) else f"{ratio:.1f}x"
