"""Measuring: every point is a real file that was encoded, written, read again and decoded."""

from __future__ import annotations

import base64
import functools
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..machine.threads import set_threads
from ..machine.workers import begin_worker, end_workers
from ..model.arrays import Pixels
from ..model.distortion import psnr
from .blocks import PERCENTILE, SIDE, BlockErrors, block_errors
from .cache import Cache
from .codecs import make_codec
from .curve import Point
from .images import TestImage, read_rgb
from .metrics import METRICS, metrics_version
from .protocol import ImageCodec


class MeasurementError(Exception):
    """A codec failed on an image; the message is one line that names both."""


@dataclass(frozen=True)
class Measurement:
    """A measured point: an image at a quality of a codec.

    pixels: their number; bytes: of the whole file; encode_seconds, decode_seconds: wall time after a warm-up; blocks:
    where the error is, None if there is none."""

    image: str
    codec: str
    quality: float
    pixels: int
    bytes: int
    encode_seconds: float
    decode_seconds: float
    metrics: dict[str, float]
    blocks: BlockErrors | None

    @property
    def bpp(self) -> float:
        """Bits per pixel of the whole file."""
        return 8 * self.bytes / self.pixels


def rd_point(codec: ImageCodec, image: Pixels, quality: float) -> Point:
    """The rate and PSNR alone of an image, uint8 RGB [H, W, 3], at a quality."""
    data = codec.encode(image, quality)
    return Point(8 * len(data) / image[..., 0].size, psnr(image, codec.decode(data)))


@dataclass(frozen=True)
class Task:
    """An image at all qualities of a codec, `spec` the word that asks for it: what a process measures in one go."""

    image: TestImage
    spec: str
    qualities: tuple[float, ...]
    metrics: tuple[str, ...]
    cache_folder: Path | None
    threads: int


def measure(
    images: Sequence[TestImage],
    codecs: dict[str, tuple[float, ...]],
    metrics: Sequence[str],
    cache_folder: Path | None,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Measurement]:
    """Measures all images at the given qualities of the codecs, in the order given.

    codecs: the word that asks for a codec -> its qualities. cache_folder: of earlier results, None for none. jobs:
    processes; the CPU cores are shared out among them. progress: called with the number of files measured, and of all.
    Each result is in the cache as soon as it is there, so that an interrupt loses at most one file for each process.
    Raises MeasurementError."""
    tasks = [
        Task(image, spec, qualities, tuple(metrics), cache_folder, threads_of(jobs))
        for image in images
        for spec, qualities in codecs.items()
    ]
    total = sum(len(task.qualities) for task in tasks)
    results = {index: found for index, task in enumerate(tasks) if (found := recall(task)) is not None}
    progress(sum(map(len, results.values())), total)
    for index, measurements in _run({index: task for index, task in enumerate(tasks) if index not in results}, jobs):
        results[index] = measurements
        progress(sum(map(len, results.values())), total)
    return [measurement for index in range(len(tasks)) for measurement in results[index]]


def threads_of(jobs: int) -> int:
    """The threads of each of so many processes, which share this one's CPU cores; 1 where their number is unknown."""
    return max(1, len(os.sched_getaffinity(0)) // jobs) if hasattr(os, "sched_getaffinity") else 1


def _run(tasks: dict[int, Task], jobs: int) -> Iterator[tuple[int, list[Measurement]]]:
    if jobs == 1 or not tasks:
        for index, task in tasks.items():
            yield index, perform(task)
        return
    others = multiprocessing.active_children()
    # Spawned, not forked: torch's threads do not survive a fork.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), begin_worker)
    try:
        futures = {pool.submit(perform, task): index for index, task in tasks.items()}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BaseException:
        end_workers(others)  # the cache stands it
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def recall(task: Task) -> list[Measurement] | None:
    """The task's results from the cache; None unless all are there."""
    cache, codec = Cache(task.cache_folder), load(task.spec, task.threads)
    found = []
    for quality in task.qualities:
        value = cache.get(point_key(task.image, codec, quality, task.threads))
        if value is None or not _has_metrics(task, value):
            return None
        found.append(_to_measurement(task, quality, value))
    return found


def perform(task: Task) -> list[Measurement]:
    """Measures a task, without what is in the cache. Raises MeasurementError."""
    cache, codec = Cache(task.cache_folder), load(task.spec, task.threads)
    original = read_rgb(task.image.path)[0]
    measurements = []
    for quality in task.qualities:
        key = point_key(task.image, codec, quality, task.threads)
        value = cache.get(key)
        if value is None or not _has_metrics(task, value):
            try:
                _warm_up(task.spec, task.threads, original)
                value = _measure_point(codec, original, quality, task.metrics, value)
            except Exception as error:  # whatever the libraries raise
                cause = " ".join(str(error).split()) or type(error).__name__
                raise MeasurementError(f"{task.spec}, quality {quality:g}, on {task.image.path}: {cause}") from error
            cache.put(key, value)
        measurements.append(_to_measurement(task, quality, value))
    return measurements


def _has_metrics(task: Task, value: dict[str, Any]) -> bool:
    return bool(value["metrics"].keys() >= set(task.metrics))


def _to_measurement(task: Task, quality: float, value: dict[str, Any]) -> Measurement:
    chosen = {name: float(value["metrics"][name]) for name in task.metrics}
    times = (value["encode_seconds"], value["decode_seconds"])
    blocks = None if value["blocks"] is None else BlockErrors(**value["blocks"])
    return Measurement(task.image.name, task.spec, quality, task.image.pixels, value["bytes"], *times, chosen, blocks)


@functools.cache
def load(spec: str, threads: int) -> ImageCodec:
    """The codec that a word asks for, made once in a process; torch, cae's kernels and the codec's library then use so
    many threads. Raises as `make_codec`."""
    torch.set_num_threads(threads)
    set_threads(threads)
    return make_codec(spec, threads)


def point_key(image: TestImage, codec: ImageCodec, quality: float, threads: int) -> dict[str, Any]:
    """The key of a measured point in the cache: all that it depends on, except the machine."""
    return {
        "image": image.sha256,
        "codec": codec.settings,
        "quality": quality,
        "threads": threads,
        "metrics": metrics_version(),
        "blocks": [SIDE, PERCENTILE],  # how blocks' errors were taken, which the oldest results lack
    }


_warm: set[tuple[str, int, tuple[int, ...]]] = set()


def _warm_up(spec: str, threads: int, original: Pixels) -> None:
    """Codes an image once, untimed: the first call with an image of a size loads, allocates and compiles."""
    if (spec, threads, original.shape) not in _warm:
        codec = load(spec, threads)
        for quality in codec.qualities if spec.startswith("zoo") else codec.qualities[:1]:
            codec.decode(codec.encode(original, quality))
        _warm.add((spec, threads, original.shape))


def _measure_point(
    codec: ImageCodec, original: Pixels, quality: float, metrics: Sequence[str], known: dict[str, Any] | None
) -> dict[str, Any]:
    start = time.perf_counter()
    data = codec.encode(original, quality)
    encode_seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory(prefix="cae-") as folder:
        path = Path(folder) / "image"
        path.write_bytes(data)
        data = path.read_bytes()
    start = time.perf_counter()
    decoded = codec.decode(data)
    decode_seconds = time.perf_counter() - start
    if decoded.shape != original.shape:
        raise ValueError(f"{codec.name} gave {decoded.shape} for {original.shape}")
    values = known["metrics"] if known else {}
    # As text, because JSON has no infinity, which is the PSNR of equal images.
    values = values | {name: repr(METRICS[name].measure(original, decoded)) for name in metrics}
    blocks = block_errors(original, decoded)
    return {
        "bytes": len(data),
        "encode_seconds": encode_seconds,
        "decode_seconds": decode_seconds,
        "metrics": values,
        "blocks": None if blocks is None else asdict(blocks),
    }


def largest_within(
    image: TestImage, spec: str, size: float, cache_folder: Path | None, threads: int
) -> tuple[float, bytes]:
    """The best quality of a codec whose file has at most `size` bytes, by bisection, and that file; the lowest quality
    where all are larger. Sizes are taken to grow with quality."""
    cache, codec = Cache(cache_folder), load(spec, threads)
    key = {"image": image.sha256, "codec": codec.settings, "largest file": size}
    known = cache.get(key)
    if known is not None:
        return known["quality"], base64.b64decode(known["file"])
    original = read_rgb(image.path)[0]
    low, _, step = codec.scale
    # Invariant: `below` fits or is the lowest; `above` does not fit or is beyond the highest.
    below, above = 0, math.floor((codec.scale.high - low) / step) + 1
    best = codec.encode(original, low)
    while above - below > 1:
        middle = (below + above) // 2
        data = codec.encode(original, low + middle * step)
        if len(data) <= size:
            below, best = middle, data
        else:
            above = middle
    quality = low + below * step
    cache.put(key, {"quality": quality, "file": base64.b64encode(best).decode()})
    return quality, best
