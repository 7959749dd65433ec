"""From measured points to what is reported: means, curves, deltas, partner values, times."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .curve import Curve, Delta, Point, delta
from .images import TestImage
from .measure import Measurement
from .metrics import METRICS

WEIGHTING = (
    "Every image counts the same, whatever its size: rates (bits per pixel of whole files) and metrics are means over "
    "the images at each quality. Times are medians over all files, after a warm-up."
)


@dataclass(frozen=True)
class Mean:
    """A quality of a codec over all images: mean rate, mean metrics, median times in seconds."""

    codec: str
    quality: float
    bpp: float
    metrics: dict[str, float]
    encode_seconds: float
    decode_seconds: float


@dataclass(frozen=True)
class Summary:
    """All that was measured; `codecs` are in the order asked for, `settings` by codec.

    conclusive: whether the images are worth a conclusion; if not, no deltas are given out.
    """

    images: Sequence[TestImage]
    codecs: Sequence[str]
    settings: dict[str, dict[str, Any]]
    metrics: Sequence[str]
    reference: str
    measurements: Sequence[Measurement]
    conclusive: bool = True
    means: Sequence[Mean] = field(init=False)

    def __post_init__(self) -> None:
        grouped: dict[tuple[str, float], list[Measurement]] = {}
        for measurement in self.measurements:
            grouped.setdefault((measurement.codec, measurement.quality), []).append(measurement)
        means = [_mean(codec, quality, points) for (codec, quality), points in grouped.items()]
        object.__setattr__(self, "means", sorted(means, key=lambda mean: self.codecs.index(mean.codec)))

    def means_of(self, codec: str) -> list[Mean]:
        """The points of the curve of a codec, by quality."""
        return [mean for mean in self.means if mean.codec == codec]

    def curve(self, codec: str, metric: str) -> Curve:
        """The curve of the means, in what the metric is drawn in. Raises ValueError where there is none."""
        to_curve = METRICS[metric].curve
        return Curve(Point(mean.bpp, to_curve(mean.metrics[metric])) for mean in self.means_of(codec))

    def delta(self, codec: str, metric: str) -> Delta | str:
        """Bjontegaard deltas against the reference, or why there are none."""
        try:
            return delta(self.curve(self.reference, metric), self.curve(codec, metric))
        except ValueError as error:
            return "no overlap" if "overlap" in str(error) else "no curve"

    def partner(self, codec: str, name: str, value: float) -> dict[str, float]:
        """At a rate (name "bpp") all metrics, at a value of a metric the rate; NaN outside what was measured."""
        found = {}
        for metric in self.metrics if name == "bpp" else [name]:
            try:
                curve = self.curve(codec, metric)
            except ValueError:
                found[metric if name == "bpp" else "bpp"] = math.nan
                continue
            if name == "bpp":
                found[metric] = curve.value_at(value)
            else:
                found["bpp"] = curve.rate_at(value)
        return found

    @property
    def title(self) -> str:
        """What was measured, in a line."""
        sizes = sorted({(image.width, image.height) for image in self.images}, reverse=True)
        size = " and ".join(f"{width}x{height}" for width, height in sizes)
        if len(sizes) > 2:
            size = f"{len(sizes)} sizes"
        count = len(self.images)
        what = f"{count} image{'s' if count > 1 else ''}"
        return f"{what}, {size}" if self.conclusive else f"a demonstration on {what} made on the spot, {size}"

    def times(self, codec: str) -> tuple[float, float]:
        """Median seconds to encode and to decode, over all files of a codec."""
        own = [measurement for measurement in self.measurements if measurement.codec == codec]
        return (
            statistics.median(measurement.encode_seconds for measurement in own),
            statistics.median(measurement.decode_seconds for measurement in own),
        )

    def too_small(self) -> list[str]:
        """A line for each metric that some images are too small for."""
        lines = []
        for name in self.metrics:
            side = METRICS[name].smallest
            count = sum(min(image.width, image.height) < side for image in self.images)
            if count:
                images = "1 image" if count == 1 else f"{count} images"
                lines.append(f"{METRICS[name].label}: not taken of {images} with a side below {side} pixels")
        return lines

    def to_dict(self, **facts: Any) -> dict[str, Any]:
        """All of it as JSON values; a number that is not finite is null."""
        return {
            **facts,
            "weighting": WEIGHTING,
            "notes": self.too_small(),
            "reference": self.reference,
            "images": [
                {"name": image.name, "width": image.width, "height": image.height, "sha256": image.sha256}
                for image in self.images
            ],
            "codecs": [{"name": codec, "settings": self.settings[codec]} for codec in self.codecs],
            "means": [
                {"codec": mean.codec, "quality": mean.quality, "bpp": mean.bpp}
                | {name: finite(value) for name, value in mean.metrics.items()}
                | {"encode_seconds": mean.encode_seconds, "decode_seconds": mean.decode_seconds}
                for mean in self.means
            ],
            "deltas": [
                {"codec": codec, "metric": metric}
                | (
                    {"none": found}
                    if isinstance(found, str)
                    else {"bd_rate": found.rate, "gain": finite(found.gain), "overlap": [found.low, found.high]}
                )
                for codec in self.codecs
                if self.conclusive
                for metric in self.metrics
                for found in [self.delta(codec, metric)]
            ],
            "points": [self._row(measurement) for measurement in self.measurements],
        }

    def to_json(self, **facts: Any) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(**facts), indent=1, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """A line for each measured point; what is not finite is an empty field."""
        text = io.StringIO()
        rows = [self._row(measurement) for measurement in self.measurements]
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
        return text.getvalue()

    def _row(self, measurement: Measurement) -> dict[str, Any]:
        return {
            "image": measurement.image,
            "codec": measurement.codec,
            "quality": measurement.quality,
            "bytes": measurement.bytes,
            "bpp": measurement.bpp,
            **{name: finite(value) for name, value in measurement.metrics.items()},
            "encode_seconds": round(measurement.encode_seconds, 6),
            "decode_seconds": round(measurement.decode_seconds, 6),
        }


def finite(value: float) -> float | None:
    """The value, None if it is infinite or NaN."""
    return value if math.isfinite(value) else None


def _mean(codec: str, quality: float, points: Sequence[Measurement]) -> Mean:
    metrics = {}
    for name in points[0].metrics:
        values = [point.metrics[name] for point in points if not math.isnan(point.metrics[name])]
        metrics[name] = float(np.mean(values)) if values else math.nan
    return Mean(
        codec,
        quality,
        float(np.mean([point.bpp for point in points])),
        metrics,
        statistics.median(point.encode_seconds for point in points),
        statistics.median(point.decode_seconds for point in points),
    )
