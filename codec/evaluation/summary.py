"""Summaries of measured points: means over images, curves, Bjontegaard deltas, times."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .blocks import WorstBlock, worst_of
from .curve import Curve, Delta, Point, delta
from .images import TestImage
from .measure import Measurement
from .metrics import METRICS
from .target import Target

WEIGHTING = (
    "Every image counts the same, whatever its size: rates (bits per pixel of whole files) and metrics are means over "
    "the images at each quality. Times are medians over all files, after a warm-up."
)


@dataclass(frozen=True)
class Mean:
    """A quality of a codec over all images: mean rate, mean metrics, median times in seconds.

    worst: the worst block of all images; tail: the mean over the images of `BlockErrors.tail`. Where no image has an
    error they are None and NaN."""

    codec: str
    quality: float
    bpp: float
    metrics: dict[str, float]
    encode_seconds: float
    decode_seconds: float
    worst: WorstBlock | None
    tail: float


@dataclass(frozen=True)
class Summary:
    """Measurements of codecs on images, and their means. codecs: in the order asked for; settings: those of each codec;
    reference: the codec that others are compared with.

    group: the kind of images that it is of, "" if kinds are not told apart. at: where codecs are compared at equal
    quality or equal rate. conclusive: whether the images are worth a conclusion; if not, no deltas are given out."""

    images: Sequence[TestImage]
    codecs: Sequence[str]
    settings: dict[str, dict[str, Any]]
    metrics: Sequence[str]
    reference: str
    measurements: Sequence[Measurement]
    at: Sequence[Target] = ()
    conclusive: bool = True
    group: str = ""
    means: Sequence[Mean] = field(init=False)

    def __post_init__(self) -> None:
        grouped: dict[tuple[str, float], list[Measurement]] = {}
        for measurement in self.measurements:
            grouped.setdefault((measurement.codec, measurement.quality), []).append(measurement)
        means = [_mean(codec, quality, points) for (codec, quality), points in grouped.items()]
        object.__setattr__(self, "means", sorted(means, key=lambda mean: self.codecs.index(mean.codec)))

    def means_of(self, codec: str) -> list[Mean]:
        """The means of a codec, one for each quality."""
        return [mean for mean in self.means if mean.codec == codec]

    def curve(self, codec: str, metric: str) -> Curve:
        """The curve of a codec's means, in the unit that the metric is drawn in. Raises ValueError if there is none."""
        to_curve = METRICS[metric].curve
        return Curve(Point(mean.bpp, to_curve(mean.metrics[metric])) for mean in self.means_of(codec))

    def curve_of_image(self, codec: str, metric: str, image: str) -> Curve:
        """The curve of a codec on one image, by its name, in the unit in which the metric is drawn. Raises ValueError
        where there is none."""
        to_curve = METRICS[metric].curve
        own = (point for point in self.measurements if (point.codec, point.image) == (codec, image))
        return Curve(Point(point.bpp, to_curve(point.metrics[metric])) for point in own)

    def label(self, codec: str) -> str:
        """The name of a codec in tables and plots: the word that asks for it, and for AVIF its tune."""
        tune = self.settings[codec].get("tune")
        return codec if tune is None or "tune=" in codec else f"{codec} (tune {tune})"

    def delta(self, codec: str, metric: str) -> Delta | str:
        """The Bjontegaard deltas of a codec against the reference, or a few words on why there are none."""
        try:
            return delta(self.curve(self.reference, metric), self.curve(codec, metric))
        except ValueError as error:
            return "no overlap" if "overlap" in str(error) else "no curve"

    @property
    def title(self) -> str:
        """The group, number and sizes of the images, in a line."""
        return f"{self.group}: {self.extent}" if self.group else self.extent

    @property
    def extent(self) -> str:
        """The number of images and their sizes, in a line."""
        sizes = sorted({(image.width, image.height) for image in self.images}, reverse=True)
        size = " and ".join(f"{width}x{height}" for width, height in sizes)
        if len(sizes) > 2:
            size = f"{len(sizes)} sizes"
        count = len(self.images)
        what = f"{count} image{'s' if count > 1 else ''}"
        return f"{what}, {size}" if self.conclusive else f"a demonstration on {what} made on the spot, {size}"

    def times(self, codec: str) -> tuple[float, float]:
        """The median seconds to encode and to decode, over all files of a codec."""
        own = [measurement for measurement in self.measurements if measurement.codec == codec]
        return (
            statistics.median(measurement.encode_seconds for measurement in own),
            statistics.median(measurement.decode_seconds for measurement in own),
        )

    def worst(self, codec: str) -> WorstBlock | None:
        """The worst block of a codec at any of its qualities."""
        own = (measurement for measurement in self.measurements if measurement.codec == codec)
        return worst_of((measurement.image, measurement.blocks) for measurement in own)

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


def by_group(summary: Summary) -> list[Summary]:
    """A summary of each group of images; one of all images where they have no groups."""
    summaries = []
    for group in dict.fromkeys(image.group for image in summary.images):
        images = [image for image in summary.images if image.group == group]
        names = {image.name for image in images}
        points = [point for point in summary.measurements if point.image in names]
        summaries.append(replace(summary, images=images, measurements=points, group=group))
    return summaries


def title_of(summaries: Sequence[Summary]) -> str:
    """A title of several summaries: the number of images and of groups, in a line."""
    if len(summaries) == 1:
        return summaries[0].title
    return f"{sum(len(summary.images) for summary in summaries)} images in {len(summaries)} groups"


def finite(value: float) -> float | None:
    """The value, None if it is infinite or NaN."""
    return value if math.isfinite(value) else None


def _mean(codec: str, quality: float, points: Sequence[Measurement]) -> Mean:
    metrics = {name: _mean_of(point.metrics[name] for point in points) for name in points[0].metrics}
    return Mean(
        codec,
        quality,
        float(np.mean([point.bpp for point in points])),
        metrics,
        statistics.median(point.encode_seconds for point in points),
        statistics.median(point.decode_seconds for point in points),
        worst_of((point.image, point.blocks) for point in points),
        _mean_of(point.blocks.tail for point in points if point.blocks),
    )


def _mean_of(values: Iterable[float]) -> float:
    """The mean without NaN; NaN if nothing else is there."""
    numbers = [value for value in values if not math.isnan(value)]
    return float(np.mean(numbers)) if numbers else math.nan
