"""Times of coding by torch on a device: of the networks alone, of all of coding, and of coding in several threads.

    python benchmarks/device.py IMAGE [--device cuda]

IMAGE, shifted round, is coded as one image and as several together. The networks are timed with what they work on
already there, on a GPU by events; all of encoding (effort 1) and decoding by the clock, transfers and entropy coding
with it. In several threads, the entropy coding of some images overlaps the networks of others. Files and pixels are
compared with those of one image alone.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor

from cae.bitstream.container import unpack
from cae.codec.backends.networks import IntegerNetworks
from cae.codec.backends.torch_layers import TorchLayers
from cae.codec.image.picture import Picture, read_picture
from cae.codec.model.integer_weights import load_integers
from cae.codec.torch_codec import Codec, load_codec

QUALITY = 50
TOGETHER = (1, 4, 8)
THREADS = (1, 2, 4)


def by_clock(work: Callable[[], Any]) -> float:
    """The seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def by_events(work: Callable[[], Any]) -> float:
    """The seconds that a GPU works on a call, without those in which the CPU launches its kernels."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    work()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1000


def seconds(work: Callable[[], Any], rounds: int, timed: Callable[[Callable[[], Any]], float] = by_clock) -> float:
    """The median seconds of so many calls, after one that warms up. timed: measures one."""
    work()
    return statistics.median(timed(work) for _ in range(rounds))


class OnDevice(TorchLayers):
    """Layers for networks that take and return tensors of the device, without transfers."""

    def array(self, array: Any) -> Tensor:
        return array if isinstance(array, Tensor) else super().array(array)

    def host(self, array: Tensor) -> Any:
        return array


def networks(pictures: Sequence[Picture], row: int, rounds: int, device: str) -> dict[str, float]:
    """The seconds of each network for all pictures together, at a rate index, without transfers."""
    weights, _ = load_integers()
    networks: IntegerNetworks[Tensor] = IntegerNetworks(weights, OnDevice(weights, device))
    height, width = (size // 64 * 64 for size in pictures[0].pixels.shape[:2])
    # A tensor, which `OnDevice` takes where other layers take arrays.
    pixels: Any = torch.from_numpy(np.stack([picture.pixels[:height, :width] for picture in pictures])).to(device)

    def nothing(step: int, means: Any, rows: Any) -> Any:
        return torch.zeros_like(means, dtype=torch.int32)

    y = networks.analyse(pixels, row)
    z: Any = networks.analyse_hyper(y, row)
    z = z.cpu().numpy()
    latents = networks.run_context_steps(z, row, nothing)
    parts = {
        "analysis": partial(networks.analyse, pixels, row),
        "hyper-analysis": partial(networks.analyse_hyper, y, row),
        "prior": partial(networks.run_context_steps, z, row, nothing),
        "synthesis": partial(networks.synthesise, latents, row),
    }
    timed = by_events if device == "cuda" else by_clock
    return {name: seconds(work, rounds, timed) for name, work in parts.items()}


def in_threads(codec: Codec, groups: Sequence[Sequence[bytes]], threads: int) -> list[bytes]:
    """Decodes groups of files, each in one of several threads; the bytes of each file's pixels."""
    with ThreadPoolExecutor(threads) as pool:
        shown = list(pool.map(codec.decode_many, groups))
    return [picture.pixels.tobytes() for group in shown for picture in group]


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cuda", show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(image: Path, device: str, rounds: int) -> None:
    """Time the parts on IMAGE."""
    codec = load_codec(device)
    pixels = read_picture(image).pixels
    pictures = [Picture(np.roll(pixels, 64 * shift, axis=1)) for shift in range(max(TOGETHER))]
    files = [codec.encode(picture, QUALITY, effort=1) for picture in pictures]
    alone = [codec.decode(data).pixels.tobytes() for data in files]
    row = unpack(files[0]).header.rate_index
    print("milliseconds an image, by part of the codec, and in all with transfers and entropy coding")
    for count in TOGETHER:
        own, data = pictures[:count], files[:count]
        if codec.encode_many(own, QUALITY, effort=1) != data:
            raise click.ClickException("files are not what they are alone")
        parts = networks(own, row, rounds, device)
        parts["encode"] = seconds(partial(codec.encode_many, own, QUALITY, effort=1), rounds)
        parts["decode"] = seconds(partial(codec.decode_many, data), rounds)
        times = ", ".join(f"{name} {1000 * value / count:.2f}" for name, value in parts.items())
        print(f"{count} together: {times}", flush=True)
    groups = [files[first : first + 2] for first in range(0, len(files), 2)]
    for threads in THREADS:
        if in_threads(codec, groups, threads) != alone:
            raise click.ClickException("pixels are not what they are alone")
        value = seconds(partial(in_threads, codec, groups, threads), rounds) / len(files)
        print(f"2 together, by {threads} threads: decode {1000 * value:.2f}", flush=True)


if __name__ == "__main__":
    main()
