"""A summary as lines for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..codec.evaluation.metrics import METRICS
from ..codec.evaluation.summary import WEIGHTING, Summary


def table_lines(summary: Summary) -> Iterator[str]:
    """The means of each codec, then deltas and times."""
    yield f"{summary.title[0].upper()}{summary.title[1:]}. {WEIGHTING}"
    yield from summary.too_small()
    yield ""
    for codec in summary.codecs:
        means = summary.means_of(codec)
        yield _row(codec, "quality", [f"{mean.quality:g}" for mean in means])
        yield _row("", "bpp", [f"{mean.bpp:.3f}" for mean in means])
        for name in summary.metrics:
            metric = METRICS[name]
            yield _row("", metric.label, [_number(mean.metrics[name], metric.digits) for mean in means])
        yield ""
    if not summary.conclusive:
        yield "No BD-rates: images made on the spot say nothing about photographs. Give your own, files or folders."
        yield ""
    yield from _delta_lines(summary)


def _delta_lines(summary: Summary) -> Iterator[str]:
    width = max(len(codec) for codec in summary.codecs) + 2
    names = list(summary.metrics) if summary.conclusive else []
    if names:
        yield f"BD-rate against {summary.reference}, in percent (negative: smaller files at the same quality)"
    heads = [METRICS[name].label for name in names]
    detail = names[:1] and METRICS[names[0]]
    columns = "".join(f"{head:>13}" for head in heads)
    if detail:
        columns += f"   {'over ' + detail.label:>14}{'BD-' + detail.label:>12}"
    yield f"{'codec':{width}}{columns}{'encode':>11}{'decode':>11}"
    for codec in summary.codecs:
        line = f"{codec:{width}}"
        for name in names:
            found = summary.delta(codec, name)
            line += f"{found if isinstance(found, str) else f'{found.rate:+.1f}':>13}"
        if detail:
            found = summary.delta(codec, names[0])
            overlap, gain = ("", "") if isinstance(found, str) else (f"{found.low:.1f}-{found.high:.1f}", found.gain)
            line += f"   {overlap:>14}{gain if isinstance(gain, str) else _number(gain, 2, '+'):>12}"
        yield line + "".join(f"{_milliseconds(seconds):>11}" for seconds in summary.times(codec))


def partner_lines(summary: Summary, at: Sequence[tuple[str, float]]) -> Iterator[str]:
    """What each codec has at a rate, or what rate it takes for a value of a metric; interpolated."""
    width = max(len(codec) for codec in summary.codecs) + 2
    for name, value in at:
        yield ""
        yield f"At {'bpp' if name == 'bpp' else METRICS[name].axis} = {value:g}, interpolated:"
        for codec in summary.codecs:
            words = []
            for partner, found in summary.partner(codec, name, value).items():
                axis = "bpp" if partner == "bpp" else METRICS[partner].axis
                digits = 3 if partner == "bpp" else 2
                words.append(
                    f"{axis} {_number(found, digits) if math.isfinite(found) else 'outside what was measured'}"
                )
            yield f"  {codec:{width}}{'   '.join(words)}"


def _row(codec: str, label: str, cells: Sequence[str]) -> str:
    return f"{codec:16.16} {label:12}" + "".join(f"{cell:>9}" for cell in cells)


def _number(value: float, digits: int, sign: str = "") -> str:
    return "-" if math.isnan(value) else "lossless" if math.isinf(value) else f"{value:{sign}.{digits}f}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds >= 0.01 else f"{1000 * seconds:.1f} ms"
