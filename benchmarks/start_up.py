"""`cae encode` and `cae decode` as whole processes: by numpy, by torch, and what importing torch alone takes.

    python benchmarks/start_up.py IMAGE [--rounds 7]

IMAGE is one that numpy takes on, of up to 0.7 megapixels. Medians of seconds, and the most memory that a process took.
What the two ways write is compared.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import click

BY_TORCH = ("-c", "import torch\nfrom cae.cli.main import main\nmain()")
"""Where torch is imported it is taken."""


def process(words: Sequence[object]) -> tuple[float, float]:
    """Seconds and MB of a process that has to succeed."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, *map(str, words)])
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{words} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rounds", default=7, show_default=True)
def main(image: Path, rounds: int) -> None:
    """Measure on IMAGE."""
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / part for part in ("light.cae", "heavy.cae", "light.ppm", "heavy.ppm")]
        encode, decode = ("encode", image, "--quiet"), ("decode", files[0], "--quiet")
        ways = {
            "import numpy": ("-c", "import numpy"),
            "import torch": ("-c", "import torch"),
            "cae encode": ("-m", "cae", *encode, files[0]),
            "cae encode, by torch": (*BY_TORCH, *encode, files[1]),
            "cae decode": ("-m", "cae", *decode, files[2]),
            "cae decode, by torch": (*BY_TORCH, *decode, files[3]),
        }
        measured: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, words in ways.items():
                measured[way].append(process(words))
        light_file, heavy_file, light_pixels, heavy_pixels = (file.read_bytes() for file in files)
        if light_file != heavy_file or light_pixels != heavy_pixels:
            raise SystemExit("numpy and torch code other files or pixels")
    base = median(seconds for seconds, _ in measured["import torch"])
    for way, results in measured.items():
        seconds, memory = (median(values) for values in zip(*results, strict=True))
        print(f"{way:21} {seconds:5.2f} s, {seconds / base:4.2f} of importing torch, {memory:4.0f} MB")


if __name__ == "__main__":
    main()
