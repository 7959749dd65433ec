"""Rate-distortion curves as a picture: a panel for each metric, a row for each group of images."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from .anchors import Anchor, drawn
from .metrics import METRICS
from .style import ANCHOR, DASHES, colours, is_own
from .summary import Summary, title_of

TICKS = (0.03, 0.06, 0.12, 0.25, 0.5, 1, 2, 4, 8)
"""Rates that are labelled on the logarithmic axis, in bits per pixel."""

PANELS = ("psnr", "ssimulacra2", "ms-ssim", "psnr-y", "ssim")
"""Metrics in the order in which they get a panel: the first three of them that were measured."""


def draw(summaries: Sequence[Summary], kind: str, anchors: Sequence[Anchor] = ()) -> bytes:
    """The bytes of a plot of kind png or svg. anchors: published curves, dashed, behind those of PSNR."""
    first = summaries[0]
    metrics = [name for name in PANELS if name in first.metrics][:3] or list(first.metrics)[:1]
    size = 4.9 * len(metrics) + 0.6, 4.6 * len(summaries) + 0.8
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(f"Rate and distortion: {title_of(summaries)}", fontsize=13, x=0.01, ha="left")
    handles: dict[str, Any] = {}
    for row, summary in zip(figure.subplots(len(summaries), len(metrics), squeeze=False), summaries, strict=True):
        handles |= _draw_row(row, summary, metrics, anchors)
    order = sorted(first.codecs, key=is_own, reverse=True)
    figure.legend(
        [handles[codec] for codec in order],
        [first.label(codec) for codec in order],
        loc="outside lower center",
        ncols=8,
        frameon=False,
        fontsize=11,
    )
    buffer = io.BytesIO()
    # Without a date the same figures give the same file.
    figure.savefig(buffer, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def _draw_row(row: Any, summary: Summary, metrics: Sequence[str], anchors: Sequence[Anchor]) -> dict[str, Any]:
    """Draws the panels of a summary; returns a line of each codec, for the legend."""
    colour = colours(summary.codecs)
    all_rates = [mean.bpp for mean in summary.means]
    limits = 0.93 * min(all_rates), 1.07 * max(all_rates)
    handles: dict[str, Any] = {}
    for axes, metric in zip(row, metrics, strict=True):
        for codec in summary.codecs:
            rates, values = _points(summary, codec, metric)
            own = is_own(codec)
            (handles[codec],) = axes.plot(
                rates,
                values,
                marker="o",
                markersize=5 if own else 3.5,
                linewidth=3 if own else 1.5,
                color=colour[codec],
                label=summary.label(codec),
                zorder=5 if own else 4,
            )
        if metric == "psnr":
            _draw_anchors(axes, drawn(anchors))
        axes.set_xscale("log", base=2)
        axes.set_xlim(*limits)
        axes.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if limits[0] <= tick <= limits[1]]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("bits per pixel (log scale)")
        title = METRICS[metric].axis
        axes.set_title(f"{summary.group}: {title}" if summary.group else title, fontsize=11, loc="left")
        axes.grid(color="#d8dee4", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return handles


def _points(summary: Summary, codec: str, metric: str) -> tuple[list[float], list[float]]:
    to_curve = METRICS[metric].curve
    points = [(mean.bpp, to_curve(mean.metrics[metric])) for mean in summary.means_of(codec)]
    finite = sorted(point for point in points if math.isfinite(point[1]))
    return [rate for rate, _ in finite], [value for _, value in finite]


def _draw_anchors(axes: Any, anchors: Sequence[Anchor]) -> None:
    """Draws published curves behind the others, within their range, with a legend if there are any."""
    limits = axes.get_ylim()
    for anchor, dashes in zip(anchors, itertools.cycle(DASHES), strict=False):
        rates, values = zip(*anchor.points, strict=True)
        axes.plot(rates, values, dashes=dashes, color=ANCHOR, linewidth=1.1, zorder=2, label=anchor.label)
    axes.set_ylim(*limits)
    handles = [line for line in axes.get_lines() if line.get_color() == ANCHOR]
    if handles:
        axes.legend(handles=handles, loc="upper left", fontsize=8.5, frameon=False, title="published", alignment="left")
