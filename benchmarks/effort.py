"""What effort gains: BD-rate and seconds of each level against the first, on a folder of images.

    python benchmarks/effort.py FOLDER [--levels 1,2,4,9] [--step 1] [--threads 2]

Files are written and decoded at five qualities. The BD-rate of the mean curve is ruled by images that take many bits;
the mean of the images' own BD-rates stands beside it. Needs the extra `eval`.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
import torch

from cae.codec.config import ROUNDS
from cae.codec.distortion import psnr
from cae.codec.evaluation.curve import Point, bd_rate, mean_point
from cae.codec.image import read_picture
from cae.codec.pipeline import load_codec

QUALITIES = (10, 30, 50, 70, 90)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--levels", default=",".join(map(str, range(1, len(ROUNDS) + 1))), show_default=True)
@click.option("--step", default=1, show_default=True, help="Take every so many images.")
@click.option("--threads", default=2, show_default=True)
def main(folder: Path, levels: str, step: int, threads: int) -> None:
    """Compare levels on the PNG images of FOLDER."""
    torch.set_num_threads(threads)
    codec = load_codec("cpu")
    efforts = [int(level) for level in levels.split(",")]
    curves: dict[int, list[list[Point]]] = {effort: [] for effort in efforts}
    seconds = dict.fromkeys(efforts, 0.0)
    for path in sorted(folder.glob("*.png"))[::step]:
        picture = read_picture(path)
        for effort in efforts:
            points = []
            for quality in QUALITIES:
                start = time.perf_counter()
                data = codec.encode(picture, quality, effort=effort)
                seconds[effort] += time.perf_counter() - start
                decoded = codec.decode(data).pixels
                points.append(Point(8 * len(data) / picture.pixels[..., 0].size, psnr(picture.pixels, decoded)))
            curves[effort].append(points)
    means = {effort: [mean_point(same) for same in zip(*found, strict=True)] for effort, found in curves.items()}
    first = efforts[0]
    files = len(QUALITIES) * len(curves[first])
    print(f"{files} files a level, {threads} threads; against effort {first}")
    print("effort  BD-rate of the mean curve  mean BD-rate  s a file  times as long")
    for effort in efforts:
        each = [bd_rate(a, b) for a, b in zip(curves[first], curves[effort], strict=True)]
        print(
            f"{effort:6}  {bd_rate(means[first], means[effort]):23.2f} %  {np.mean(each):10.2f} %"
            f"  {seconds[effort] / files:8.3f}  {seconds[effort] / seconds[first]:13.1f}"
        )


if __name__ == "__main__":
    main()
