"""The report of a measurement: one HTML file with everything in it, which loads nothing from anywhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from string import Template
from typing import Any

from .anchors import Anchor
from .chart import chart_data
from .equal_size import Comparison, show
from .report_equal import equal_tables
from .report_tables import anchor_table, codec_table, worst_table
from .slider import PAGE, SCRIPT, STYLE
from .summary import WEIGHTING, Summary, title_of


def make_report(
    summaries: Sequence[Summary], facts: dict[str, Any], anchors: Sequence[Anchor], comparisons: Sequence[Comparison]
) -> str:
    """The HTML of a report, with tables for each summary. facts: cae (its version), date, machine, jobs and
    threads_per_job."""
    first, title = summaries[0], title_of(summaries)
    template = Template((PAGE / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(f"{title[0].upper()}{title[1:]}"),
        style=(PAGE / "report.css").read_text(encoding="utf-8") + STYLE,
        tables="".join(_tables(summary, anchors) for summary in summaries),
        comparisons="".join(map(show, comparisons)),
        weighting=escape(WEIGHTING),
        settings="".join(
            f"<li><b>{escape(first.label(codec))}</b>: "
            + escape(", ".join(f"{key} {value}" for key, value in first.settings[codec].items()))
            for codec in first.codecs
        ),
        facts=escape(
            f"cae {facts['cae']}, {facts['date']}, {facts['machine']}; {facts['jobs']} at a time, "
            f"{facts['threads_per_job']} threads each"
        ),
        # Without "<" no name of an image can end the script element.
        data=json.dumps(chart_data(summaries, anchors), allow_nan=False).replace("<", "\\u003c"),
        script=SCRIPT + (PAGE / "chart.js").read_text(encoding="utf-8"),
    )


def _tables(summary: Summary, anchors: Sequence[Anchor]) -> str:
    """The sections about a group of images, or about all."""
    of = f": {escape(summary.group)}" if summary.group else ""
    about = f"<p>{escape(summary.extent)}.</p>" if summary.group else ""
    about += "".join(f"<p class=note>{escape(line)}.</p>" for line in summary.too_small())
    equal = equal_tables(summary)
    parts = [("At equal quality", equal)] if equal else []
    parts.append(("Codecs", codec_table(summary) + worst_table(summary) + anchor_table(summary, anchors)))
    (first, content), *others = parts
    sections = [(first, about + content), *others]
    return "".join(f"<section><h2>{title}{of}</h2>{content}</section>" for title, content in sections)
