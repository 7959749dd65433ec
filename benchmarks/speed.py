"""Time to encode and decode, against CompressAI's mbt2018-mean in the same run.

    python benchmarks/speed.py IMAGE [--threads 2] [--lesser avx512] [--cheng]

Decoding is timed by the compiled kernels, at their best and as on processors without products of bytes. For those with
AVX2 alone, --lesser avx2, torch has to be held to it as well: ATEN_CPU_CAPABILITY=avx2
ONEDNN_MAX_CPU_ISA=AVX2.
All are in one process, take turns, each warm from a call just before, and have their results checked. CompressAI's
weights are random: times do not depend on them much, sizes would. With --cheng its cheng2020-anchor, whose context
goes position by position, decodes once as well. Needs the extra `zoo`.
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
from cae.codec.backends.kernels.instructions import levels
from cae.codec.backends.networks import fastest
from cae.codec.image.picture import read_picture
from cae.codec.machine.threads import set_threads
from cae.codec.select import load_on_cpu

WITHOUT_BYTES = ("avx512", "avx2", "plain")
"""Levels of the kernels without products of four bytes at a time, the best first."""


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds and the result of a call."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=9, show_default=True)
@click.option("--quality", default=50, show_default=True)
@click.option("--lesser", type=click.Choice(WITHOUT_BYTES), help="By default the best of these.")
@click.option("--cheng", is_flag=True, help="Decode with cheng2020-anchor too; takes minutes.")
def main(image: Path, threads: int, rounds: int, quality: int, lesser: str | None, cheng: bool) -> None:
    """Time the codecs on IMAGE."""
    from compressai.zoo import cheng2020_anchor, mbt2018_mean

    set_threads(threads)
    torch.set_num_threads(threads)
    picture = read_picture(image)
    codec = load_on_cpu()
    lesser = lesser or next(level for level in WITHOUT_BYTES if level in levels())
    without_bytes = load_on_cpu(level=lesser)
    peer = mbt2018_mean(quality=4, pretrained=False).eval()
    peer.update()
    x = torch.tensor(picture.pixels).permute(2, 0, 1)[None].float() / 255
    times: dict[str, list[float]] = {}

    def measure(name: str, function: Callable[[], Any]) -> Any:
        function()  # warms the caches, which hold the data of what ran before
        seconds, result = timed(function)
        times.setdefault(name, []).append(seconds)
        return result

    with torch.inference_mode():
        for _ in range(rounds):
            measure("encode, effort 2", lambda: codec.encode(picture, quality, effort=2))
            data = measure("encode, effort 1", lambda: codec.encode(picture, quality, effort=1))
            decoded = measure("decode", lambda: codec.decode(data))  # noqa: B023
            same = measure(f"decode, {lesser}", lambda: without_bytes.decode(data))  # noqa: B023
            coded = measure("mbt2018-mean encode", lambda: peer.compress(x))
            other = measure("mbt2018-mean decode", lambda: peer.decompress(coded["strings"], coded["shape"]))  # noqa: B023
            # decode checks the latents by the file's checksum; the pixels must be near the image's.
            assert np.abs(decoded.pixels.astype(int) - picture.pixels).mean() < 10
            assert np.array_equal(decoded.pixels, same.pixels)
            assert other["x_hat"].shape == x.shape
    best, tiles = fastest(), len(unpack(data).tiles)
    print(f"{picture.width}x{picture.height}, {threads} threads, {tiles} tile, {best}")
    for name, values in times.items():
        peers = times["mbt2018-mean decode" if "decode" in name else "mbt2018-mean encode"]
        ratio = statistics.median(a / b for a, b in zip(values, peers, strict=True))
        print(f"{name:20} {1000 * statistics.median(values):6.0f} ms  {ratio:.3f} of mbt2018-mean")
    if cheng:
        slow = cheng2020_anchor(quality=4, pretrained=False).eval()
        slow.update()
        with torch.inference_mode():
            coded = slow.compress(x)
            seconds, other = timed(lambda: slow.decompress(coded["strings"], coded["shape"]))
        assert other["x_hat"].shape == x.shape
        print(f"decode: 1/{seconds / statistics.median(times['decode']):.0f} of cheng2020-anchor ({seconds:.1f} s)")


if __name__ == "__main__":
    main()
