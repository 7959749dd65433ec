"""The data that the curves of a report are drawn from, as JSON values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from .anchors import Anchor, drawn
from .blocks import BlockErrors
from .measure import Measurement
from .metrics import METRICS
from .style import ANCHOR, DASHES, colours, is_own
from .summary import Mean, Summary, finite


def chart_data(summaries: Sequence[Summary], anchors: Sequence[Anchor]) -> dict[str, Any]:
    """The data of chart.js: codecs; for each group of images their names and, for each codec, the points of the means
    and of each image; published curves."""
    first = summaries[0]
    colour = colours(first.codecs)
    return {
        "metrics": [METRICS[name].axis for name in first.metrics],
        "codecs": [
            {"name": first.label(codec), "colour": colour[codec], "own": is_own(codec)} for codec in first.codecs
        ],
        "groups": [
            {
                "name": summary.group,
                "images": [image.name for image in summary.images],
                "curves": [_curves(summary, codec) for codec in summary.codecs],
            }
            for summary in summaries
        ],
        "anchors": [
            {"name": anchor.label, "dashes": dashes, "points": [list(point) for point in anchor.points]}
            for anchor, dashes in zip(drawn(anchors), itertools.cycle(DASHES), strict=False)
        ],
        "anchorColour": ANCHOR,
        "anchored": first.metrics.index("psnr") if "psnr" in first.metrics else None,
    }


def _curves(summary: Summary, codec: str) -> dict[str, Any]:
    own: dict[str, list[Any]] = {image.name: [] for image in summary.images}
    for point in summary.measurements:
        if point.codec == codec:
            own[point.image].append(_point(summary, point, _worst(point.blocks)))
    means = [
        _point(summary, mean, _worst(mean.worst.errors, f" of {mean.worst.image}") if mean.worst else _worst(None))
        for mean in summary.means_of(codec)
    ]
    return {"mean": means, "images": list(own.values())}


def _point(summary: Summary, point: Mean | Measurement, worst: str) -> list[float | str | None]:
    """A point: quality, bpp, each metric's value, the worst block in words, milliseconds to encode and to decode."""
    values = (finite(METRICS[name].curve(point.metrics[name])) for name in summary.metrics)
    rounded = (None if value is None else round(value, 4) for value in values)
    times = (round(1000 * seconds, 1) for seconds in (point.encode_seconds, point.decode_seconds))
    return [point.quality, round(point.bpp, 5), *rounded, worst, *times]


def _worst(errors: BlockErrors | None, where: str = "") -> str:
    return f"worst block {errors.ratio:.1f}x at {errors.x},{errors.y}{where}" if errors else "no errors"
