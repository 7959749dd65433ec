"""Time to encode and decode, against CompressAI's mbt2018-mean in the same run.

    python benchmarks/speed.py IMAGE [--threads 2]

Both are warm and in one process, take turns, and have their results checked. CompressAI's weights are random: times do
not depend on them much, sizes would. Needs the extra `zoo`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from cae.bitstream.container import unpack
from cae.codec.image import read_picture
from cae.codec.pipeline import load_codec


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result of a call."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=7, show_default=True)
@click.option("--quality", default=50, show_default=True)
def main(image: Path, threads: int, rounds: int, quality: int) -> None:
    """Time both codecs on IMAGE."""
    from compressai.zoo import mbt2018_mean

    torch.set_num_threads(threads)
    picture = read_picture(image)
    codec = load_codec("cpu")
    peer = mbt2018_mean(quality=4, pretrained=False).eval()
    peer.update()
    x = torch.tensor(picture.pixels).permute(2, 0, 1)[None].float() / 255
    times: dict[str, list[float]] = {name: [] for name in ("cae encode", "cae decode", "peer encode", "peer decode")}
    with torch.inference_mode():
        for _ in range(rounds + 1):
            seconds, data = timed(lambda: codec.encode(picture, quality))
            times["cae encode"].append(seconds)
            seconds, decoded = timed(lambda: codec.decode(data))  # noqa: B023
            times["cae decode"].append(seconds)
            seconds, coded = timed(lambda: peer.compress(x))
            times["peer encode"].append(seconds)
            seconds, other = timed(lambda: peer.decompress(coded["strings"], coded["shape"]))  # noqa: B023
            times["peer decode"].append(seconds)
            # Latents are checked against the file's checksum by decode itself; here, that it is the image.
            assert decoded.pixels.shape == picture.pixels.shape
            assert np.abs(decoded.pixels.astype(int) - picture.pixels).mean() < 10
            assert other["x_hat"].shape == x.shape
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}  # the first round warms up
    for name, seconds in medians.items():
        print(f"{name}: {1000 * seconds:.0f} ms")
    ratio = statistics.median(a / b for a, b in zip(times["cae decode"][1:], times["peer decode"][1:], strict=True))
    print(f"decode, ratio to mbt2018-mean: {ratio:.3f} ({threads} threads, {len(unpack(data).tiles)} tile)")


if __name__ == "__main__":
    main()
