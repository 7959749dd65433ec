"""Many files by the command, against the same work in one process: how much of the rate is left.

    python benchmarks/throughput.py FOLDER [--threads 2] [--jobs 1]

The images of FOLDER (PNG) are encoded and decoded to PNG by `cae encode` and `cae decode`, start-up included, and by
calls in this process that read, code and write the same files. What the command writes is compared with what the calls
write.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import click
import torch

from cae.codec.config import DEFAULT_EFFORT
from cae.codec.image import read_picture
from cae.codec.pipeline import load_codec
from cae.codec.save import save_picture


def command(*words: object) -> float:
    """Seconds of a command that has to succeed."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "cae", *map(str, words), "--quiet"], check=True)
    return time.perf_counter() - start


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--threads", default=2, show_default=True)
@click.option("--jobs", default=1, show_default=True)
@click.option("--effort", default=DEFAULT_EFFORT, show_default=True)
def main(folder: Path, threads: int, jobs: int, effort: int) -> None:
    """Compare on the PNG images of FOLDER."""
    torch.set_num_threads(threads)
    paths = sorted(folder.glob("*.png"))
    codec = load_codec("cpu")
    codec.decode(codec.encode(read_picture(paths[0]), 50, effort=effort))  # warm
    start = time.perf_counter()
    files = [codec.encode(read_picture(path), 50, effort=effort) for path in paths]
    encoding = time.perf_counter() - start
    start = time.perf_counter()
    images = []
    for data in files:
        image = BytesIO()
        save_picture(codec.decode(data), image, "png")
        images.append(image.getvalue())
    decoding = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as name:
        coded, out = Path(name) / "coded", Path(name) / "out"
        many = ("--jobs", jobs) if jobs > 1 else ("--threads", threads)
        times = (
            command("encode", *paths, "--out", coded, "-q", 50, "-e", effort, *many),
            command("decode", coded, "--out", out, *many),
        )
        same = [(out / path.name).read_bytes() == image for path, image in zip(paths, images, strict=True)]
    print(f"{len(paths)} images, {threads} threads, {jobs} jobs; {sum(same)} decode to the same files")
    for verb, own, whole in zip(("encode", "decode"), (encoding, decoding), times, strict=True):
        print(
            f"{verb}: calls {own:.2f} s ({len(paths) / own:.1f} images/s), command {whole:.2f} s "
            f"({len(paths) / whole:.1f} images/s), ratio {own / whole:.2f}"
        )


if __name__ == "__main__":
    main()
