"""The cost of the most expensive files of a hundred bytes beyond loading the model: seconds, and memory at the peak.

    python benchmarks/small_files.py [--threads 2]

The payloads are random, so that all work is done before the decoder can know that something is wrong.
"""

from __future__ import annotations

import resource
import time

import click
import numpy as np

from cae.bitstream.container import Container, Tile, pack
from cae.bitstream.errors import CaeError
from cae.bitstream.header import Header
from cae.codec.machine.threads import set_threads
from cae.codec.select import load_on_cpu

BYTES = 100


def hostile(fingerprint: bytes, row: int, size: tuple[int, int], tile: int, payloads: int) -> bytes:
    """A file of about BYTES with `payloads` tiles of random bytes. size: width and height; tile: in units of 64
    pixels."""
    header = Header(*size, False, row, fingerprint, tile)
    length = max((BYTES - 20) // payloads - 9, 0)
    random = np.random.default_rng(0)
    tiles = [Tile(random.integers(1, 256, length, np.uint8).tobytes(), 0) for _ in range(payloads)]
    return pack(Container(header, (), tuple(tiles)))


@click.command()
@click.option("--threads", default=2, show_default=True)
def main(threads: int) -> None:
    """Measure some shapes at three rates."""
    set_threads(threads)
    codec = load_on_cpu()
    print(f"{'size':>12} {'tiles':>6} {'row':>4} {'bytes':>6} {'ms':>6}  beyond the peak before, MB")
    for size, tile, payloads in (
        ((64, 64), 16, 1),
        ((64 * 11, 64 * 7), 16, 1),
        ((64 * 87, 64), 32, 3),
        ((256 * 8, 256), 4, 8),
    ):
        for row in (0, 128, 255):
            data = hostile(codec.fingerprint, row, size, tile, payloads)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            start = time.perf_counter()
            try:
                codec.decode(data)
                outcome = "decoded"
            except CaeError as error:
                outcome = type(error).__name__
            seconds = time.perf_counter() - start
            more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            name = f"{size[0]}x{size[1]}"
            print(f"{name:>12} {payloads:6} {row:4} {len(data):6} {1000 * seconds:6.0f}  {more:.0f} ({outcome})")


if __name__ == "__main__":
    main()
