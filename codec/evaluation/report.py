"""The report: one HTML file with everything in it, which loads nothing from anywhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from html import escape
from string import Template
from typing import Any

from .anchors import Anchor, drawn
from .blocks import BlockErrors
from .equal_size import Comparison, show
from .measure import Measurement
from .metrics import METRICS
from .report_equal import equal_section
from .report_tables import anchor_table, codec_table, worst_table
from .slider import PAGE, SCRIPT, STYLE
from .style import ANCHOR, DASHES, colours, is_own
from .summary import WEIGHTING, Mean, Summary, finite


def make_report(
    summary: Summary, facts: dict[str, Any], anchors: Sequence[Anchor], comparisons: Sequence[Comparison]
) -> str:
    """The page. facts: what `export.to_json` is given besides."""
    template = Template((PAGE / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(f"{summary.title[0].upper()}{summary.title[1:]}"),
        style=(PAGE / "report.css").read_text(encoding="utf-8") + STYLE,
        notes="".join(f"<p class=note>{escape(line)}.</p>" for line in summary.too_small()),
        equal=equal_section(summary),
        table=codec_table(summary),
        blocks=worst_table(summary),
        anchors=anchor_table(summary, anchors),
        comparisons="".join(map(show, comparisons)),
        weighting=escape(WEIGHTING),
        settings="".join(
            f"<li><b>{escape(summary.label(codec))}</b>: "
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


def _chart_data(summary: Summary, anchors: Sequence[Anchor]) -> dict[str, Any]:
    """What chart.js draws: points of the means and of each image as [quality, rate, value of each metric, worst
    block, ms, ms]."""
    colour = colours(summary.codecs)

    def row(point: Mean | Measurement, worst: str) -> list[float | str | None]:
        drawn = (finite(METRICS[name].curve(point.metrics[name])) for name in summary.metrics)
        rounded = (None if value is None else round(value, 4) for value in drawn)
        times = (round(1000 * seconds, 1) for seconds in (point.encode_seconds, point.decode_seconds))
        return [point.quality, round(point.bpp, 5), *rounded, worst, *times]

    own: dict[tuple[str, str], list[Any]] = {}
    for point in summary.measurements:
        own.setdefault((point.codec, point.image), []).append(row(point, _worst_words(point.blocks)))
    return {
        "metrics": [METRICS[name].axis for name in summary.metrics],
        "images": [image.name for image in summary.images],
        "codecs": [
            {
                "name": summary.label(codec),
                "colour": colour[codec],
                "own": is_own(codec),
                "mean": [
                    row(mean, _worst_words(mean.worst.errors, mean.worst.image) if mean.worst else _worst_words(None))
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


def _worst_words(errors: BlockErrors | None, image: str = "") -> str:
    if errors is None:
        return "no errors"
    return f"worst block {errors.ratio:.1f}x at {errors.x},{errors.y}" + (f" of {image}" if image else "")
