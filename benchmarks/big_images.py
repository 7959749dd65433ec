"""Time and memory for big images, by the command in processes of its own.

    python benchmarks/big_images.py FOLDER [--side 10000] [--threads 2] [--suffix ppm]

A mosaic of the PNG images of FOLDER, side x side pixels, is encoded and decoded; memory is the peak of the resident
set, and of its anonymous part, beyond that of a process that encodes an image of 64x64 pixels, so beyond the
interpreter, numpy and the model.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from PIL import Image


def mosaic(folder: Path, height: int, width: int) -> npt.NDArray[np.uint8]:
    """The PNG images of a folder side by side, each row beginning with another one: uint8 [height, width, 3]."""
    paths = sorted(folder.glob("*.png"))
    out = np.empty((height, width, 3), np.uint8)
    top = index = 0
    while top < height:
        left, lowest = 0, height
        while left < width:
            with Image.open(paths[index % len(paths)]) as image:
                part = np.asarray(image.convert("RGB"))[: height - top, : width - left]
            out[top : top + part.shape[0], left : left + part.shape[1]] = part
            left += part.shape[1]
            lowest = min(lowest, top + part.shape[0])
            index += 1
        top = lowest
        index += 5
    return out


def run(*arguments: object) -> tuple[float, float, float]:
    """Runs `cae` with some arguments: seconds, and the peaks in MB of the resident set and of its anonymous part."""
    begin = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "cae", *map(str, arguments)])
    anonymous = 0
    ended, status, usage = os.wait4(child.pid, os.WNOHANG)
    while not ended:
        for line in Path(f"/proc/{child.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                anonymous = max(anonymous, int(line.split()[1]))
        time.sleep(0.02)
        ended, status, usage = os.wait4(child.pid, os.WNOHANG)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(child.returncode)
    return time.perf_counter() - begin, usage.ru_maxrss / 1024, anonymous / 1024


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--side", default=10_000, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--suffix", default="png", show_default=True, help="Format of the image before and after.")
def main(folder: Path, side: int, threads: int, suffix: str) -> None:
    """Measure a mosaic of the images of FOLDER."""
    with tempfile.TemporaryDirectory() as name:
        small, big = Path(name) / "small.png", Path(name) / f"big.{suffix}"
        Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(small)
        child = os.fork()  # the mosaic's memory is the child's, so that later children do not begin with it
        if not child:
            Image.fromarray(mosaic(folder, side, side)).save(big)
            os._exit(0)
        os.waitpid(child, 0)
        coded, out = Path(name) / "big.cae", Path(name) / f"out.{suffix}"
        options = ("--device", "cpu", "--threads", threads)
        _, base, least = run("encode", small, Path(name) / "small.cae", *options)
        print(f"base: {base:.0f} MB, {least:.0f} anonymous; image: {side}x{side}, {big.stat().st_size:,} bytes")
        for command in (("encode", big, coded), ("decode", coded, out)):
            seconds, peak, own = run(*command, *options)
            print(
                f"{command[0]}: {seconds:.1f} s, {peak:.0f} MB, {peak - base:.0f} beyond the base; "
                f"anonymous {own:.0f} MB, {own - least:.0f} beyond",
                flush=True,
            )
        with Image.open(out) as image:
            print("size after decoding:", image.size)


if __name__ == "__main__":
    Image.MAX_IMAGE_PIXELS = None
    main()
