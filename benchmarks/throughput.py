"""The throughput of the command on many files, against the same work in one process.

    python benchmarks/throughput.py FOLDER [--threads 2] [--jobs N]

The images of FOLDER (PNG) are encoded and decoded to PNG by `cae encode` and `cae decode`, start-up included, and by
calls in this process that read, code and write the same files. What the command writes is compared with what the calls
write, to the byte. With --times, each image is there so many times, so that start-up counts less.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import click

from cae.codec.image.picture import read_picture
from cae.codec.image.save import save_picture
from cae.codec.machine.threads import set_threads
from cae.codec.options import DEFAULT_EFFORT
from cae.codec.select import load_on_cpu


def command(*words: object) -> float:
    """Runs `cae` with some arguments, which has to succeed: seconds."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "cae", *map(str, words), "--quiet"], check=True)
    return time.perf_counter() - start


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--threads", default=2, show_default=True)
@click.option("--jobs", type=int, help="Default: what the command takes by itself.")
@click.option("--effort", default=DEFAULT_EFFORT, show_default=True)
@click.option("--times", default=1, show_default=True)
def main(folder: Path, threads: int, jobs: int | None, effort: int, times: int) -> None:
    """Compare on the PNG images of FOLDER."""
    set_threads(threads)
    with tempfile.TemporaryDirectory() as name:
        compare(sorted(folder.glob("*.png")), Path(name), threads, jobs, effort, times)


def compare(images: list[Path], folder: Path, threads: int, jobs: int | None, effort: int, times: int) -> None:
    """Codes images, each so many times, by calls and by the command, in an empty folder; prints times and results."""
    codec = load_on_cpu()
    codec.decode(codec.encode(read_picture(images[0]), 50, effort=effort))  # warm
    source, coded, out = (folder / part for part in ("source", "coded", "out"))
    source.mkdir()
    for number in range(times):
        for image in images:
            (source / f"{number}-{image.name}").symlink_to(image.resolve())
    paths = sorted(source.iterdir())
    start = time.perf_counter()
    files = [codec.encode(read_picture(path), 50, effort=effort) for path in paths]
    encoding = time.perf_counter() - start
    start = time.perf_counter()
    decoded = []
    for data in files:
        buffer = BytesIO()
        save_picture(codec.decode(data), buffer, "png")
        decoded.append(buffer.getvalue())
    decoding = time.perf_counter() - start
    many = ("--threads", threads, *(("--jobs", jobs) if jobs else ()))
    seconds = (
        command("encode", *paths, "--out", coded, "-q", 50, "-e", effort, *many),
        command("decode", coded, "--out", out, *many),
    )
    same = sum((coded / f"{path.stem}.cae").read_bytes() == data for path, data in zip(paths, files, strict=True))
    shown = sum((out / path.name).read_bytes() == data for path, data in zip(paths, decoded, strict=True))
    print(
        f"{len(paths)} images, {threads} threads, jobs: {jobs}; {same} become the same files, {shown} the same images"
    )
    for verb, own, whole in zip(("encode", "decode"), (encoding, decoding), seconds, strict=True):
        print(
            f"{verb}: calls {own:.2f} s ({len(paths) / own:.1f} images/s), command {whole:.2f} s "
            f"({len(paths) / whole:.1f} images/s), ratio {own / whole:.2f}"
        )


if __name__ == "__main__":
    main()
