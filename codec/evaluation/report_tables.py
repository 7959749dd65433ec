"""The tables of a report, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .anchors import Anchor
from .blocks import BLOCKS, PERCENTILE, TAIL
from .curve import delta
from .metrics import METRICS
from .style import colours, is_own
from .summary import Summary


def codec_table(summary: Summary) -> str:
    """A table of each codec's Bjontegaard deltas, if the summary is conclusive, its worst block and its times."""
    names = list(summary.metrics) if summary.conclusive else []
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
                overlap = f"over {found.low:.1f} to {found.high:.1f}"
                cells.append(f'<td class="{verdict(found.rate)}" title="{overlap}">{signed(found.rate, 1)} %')
        if deltas:
            first = deltas[0]
            cells += (
                ["<td>", "<td>"]
                if isinstance(first, str)
                else [f"<td>{first.low:.1f}&ndash;{first.high:.1f}", f"<td>{signed(first.gain, 2)}"]
            )
        cells.append(_worst_cell(summary, codec))
        cells += [f"<td>{1000 * seconds:,.{0 if seconds >= 0.01 else 1}f} ms" for seconds in summary.times(codec)]
        rows.append(codec_head(summary, codec) + "".join(cells))
    head = "".join(f"<th scope=col>{text}" for text in ["codec", *heads, "worst<br>block", "encode", "decode"])
    caption = (
        f"BD-rate against {escape(summary.label(summary.reference))}: mean difference in file size at equal quality "
        "over the range that both curves cover; negative is smaller. Times are medians for a file."
        if names
        else "No BD-rates: images made on the spot say nothing about photographs. Times are medians for a file."
    )
    note = f"<p class=note>{caption} {BLOCKS}</p>"
    return f"<div class=wide><table><thead><tr>{head}<tbody>{''.join(rows)}</table></div>{note}"


def _worst_cell(summary: Summary, codec: str) -> str:
    worst = summary.worst(codec)
    if worst is None:
        return "<td class=quiet>none"
    return f'<td title="{escape(worst.image)}, {escape(str(worst.errors))}">{worst.errors.ratio:.1f}x'


def worst_table(summary: Summary) -> str:
    """A table of the worst block of each codec at each quality."""
    rows = []
    for mean in summary.means:
        cells = [f"{mean.quality:g}", f"{mean.bpp:.3f}"]
        if mean.worst is None:
            cells += ["", "none", "", "", ""]
        else:
            errors = mean.worst.errors
            cells += [f"{mean.tail:.1f}x", f"{errors.ratio:.1f}x", f"{errors.psnr:.1f}", f"{errors.x},{errors.y}"]
            cells.append(escape(mean.worst.image))
        *numbers, image = cells
        row = "".join(f"<td>{cell}" for cell in numbers) + f"<td class=source>{image}"
        rows.append(codec_head(summary, mean.codec) + row)
    heads = ["codec", "quality", "bpp", f"{PERCENTILE} %", "worst<br>block", "its PSNR,<br>dB", "at x,y"]
    head = "".join(f"<th scope=col>{text}" for text in heads) + "<th scope=col class=source>of"
    return (
        "<details><summary>The worst block at each quality</summary><div class=wide><table><thead><tr>"
        f"{head}<tbody>{''.join(rows)}</table></div><p class=note>{BLOCKS} {TAIL}</p></details>"
    )


def anchor_table(summary: Summary, anchors: Sequence[Anchor]) -> str:
    """A table of published curves' deltas against the reference as measured here; "" without PSNR or such curves."""
    if not anchors or not summary.conclusive or "psnr" not in summary.metrics:
        return ""
    reference = summary.curve(summary.reference, "psnr")
    found = sorted(((delta(reference, anchor.curve), anchor) for anchor in anchors), key=lambda pair: pair[0].rate)
    rows = "".join(
        f"<tr><th scope=row>{escape(anchor.codec)}<td>{signed(result.rate, 1)} %"
        f"<td>{result.low:.1f}&ndash;{result.high:.1f}<td class=source>{escape(anchor.source)}"
        for result, anchor in found
    )
    return (
        "<details><summary>Published results on these images</summary><div class=wide><table><thead><tr>"
        "<th scope=col>codec<th scope=col>BD-rate<br>PSNR<th scope=col>over<br>PSNR<th scope=col class=source>source"
        f"<tbody>{rows}</table></div><p class=note>Against {escape(summary.label(summary.reference))} as measured "
        "here. Not measured by this command: the points are those that each source gives for the same images.</p>"
        "</details>"
    )


def codec_head(summary: Summary, codec: str) -> str:
    """The beginning of a codec's row of a table: its colour and label."""
    colour = colours(summary.codecs)[codec]
    own = " class=own" if is_own(codec) else ""
    return f'<tr{own}><th scope=row><i style="background:{colour}"></i>{escape(summary.label(codec))}'


def verdict(percent: float) -> str:
    """The CSS class of a difference in size, in percent: "" for half a percent and less."""
    return "better" if percent < -0.5 else "worse" if percent > 0.5 else ""


def signed(value: float, digits: int) -> str:
    """A number with its sign, in HTML, a minus as wide as a plus; a dash for NaN."""
    return "&ndash;" if value != value else f"{value:+.{digits}f}".replace("-", "&minus;")
