"""Summaries as JSON and CSV: every measured point, means, deltas, codecs at equal quality."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from .blocks import BlockErrors
from .equal import Size, sizes, sizes_of_image, values_at
from .measure import Measurement
from .summary import WEIGHTING, Summary, finite
from .target import Target


def to_dict(summaries: Sequence[Summary], **facts: Any) -> dict[str, Any]:
    """Summaries as JSON values; a number that is not finite is null. facts: further fields. Several groups of images
    stand in a list under "groups", results of images without groups at the top."""
    first = summaries[0]
    common = {
        **facts,
        "weighting": WEIGHTING,
        "reference": first.reference,
        "codecs": [{"name": codec, "settings": first.settings[codec]} for codec in first.codecs],
    }
    if not first.group:
        return common | _results(first)
    return common | {"groups": [{"group": summary.group, **_results(summary)} for summary in summaries]}


def _results(summary: Summary) -> dict[str, Any]:
    return {
        "notes": summary.too_small(),
        "images": [
            {"name": image.name, "width": image.width, "height": image.height, "sha256": image.sha256}
            for image in summary.images
        ],
        "means": [
            {"codec": mean.codec, "quality": mean.quality, "bpp": mean.bpp}
            | {name: finite(value) for name, value in mean.metrics.items()}
            | _block_fields(mean.worst.errors if mean.worst else None)
            | {"worst_block_image": mean.worst and mean.worst.image, "block_tail": finite(mean.tail)}
            | {"encode_seconds": mean.encode_seconds, "decode_seconds": mean.decode_seconds}
            for mean in summary.means
        ],
        "deltas": [
            {"codec": codec, "metric": metric}
            | (
                {"none": found}
                if isinstance(found, str)
                else {"bd_rate": found.rate, "gain": finite(found.gain), "overlap": [found.low, found.high]}
            )
            for codec in summary.codecs
            if summary.conclusive
            for metric in summary.metrics
            for found in [summary.delta(codec, metric)]
        ],
        "at": [_at(summary, target) for target in summary.at],
        "points": [_row(measurement) for measurement in summary.measurements],
    }


def _at(summary: Summary, target: Target) -> dict[str, Any]:
    if target.name == "bpp":
        values = values_at(summary, target.value)
        rows = [
            {"codec": codec} | {name: finite(value) for name, value in found.items()} for codec, found in values.items()
        ]
        return {"bpp": target.value, "codecs": rows}
    return {
        "metric": target.name,
        "value": target.value,
        "codecs": [{"codec": codec, **_size(size)} for codec, size in sizes(summary, target).items()],
        "images": [
            {"image": image.name, "codec": codec, **_size(size)}
            for image in summary.images
            for codec, size in sizes_of_image(summary, image.name, target).items()
        ],
    }


def _size(size: Size) -> dict[str, Any]:
    none = {"none": size.none} if size.none else {}
    return {"bpp": finite(size.bpp), "percent": finite(size.percent), **none}


def to_json(summaries: Sequence[Summary], **facts: Any) -> str:
    """The JSON text of `to_dict`."""
    return json.dumps(to_dict(summaries, **facts), indent=1, allow_nan=False) + "\n"


def to_csv(summaries: Sequence[Summary]) -> str:
    """CSV with a line for each measured point, its group in front if it has one; what is not finite is empty."""
    text = io.StringIO()
    rows = [
        ({"group": summary.group} if summary.group else {}) | _row(measurement)
        for summary in summaries
        for measurement in summary.measurements
    ]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    return text.getvalue()


def _row(measurement: Measurement) -> dict[str, Any]:
    return {
        "image": measurement.image,
        "codec": measurement.codec,
        "quality": measurement.quality,
        "bytes": measurement.bytes,
        "bpp": measurement.bpp,
        **{name: finite(value) for name, value in measurement.metrics.items()},
        **_block_fields(measurement.blocks),
        "block_tail": measurement.blocks and measurement.blocks.tail,
        "encode_seconds": round(measurement.encode_seconds, 6),
        "decode_seconds": round(measurement.decode_seconds, 6),
    }


def _block_fields(errors: BlockErrors | None) -> dict[str, Any]:
    """Fields about the worst block, null where no block has an error."""
    return {
        "worst_block": errors and errors.ratio,
        "worst_block_x": errors and errors.x,
        "worst_block_y": errors and errors.y,
        "worst_block_mse": errors and errors.mse,
    }
