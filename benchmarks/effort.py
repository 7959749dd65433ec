"""What effort gains: BD-rate and seconds of each level against the first, on a folder of images.

    python benchmarks/effort.py FOLDER [--levels 1,2,4,9] [--step 1] [--threads 2]

Files are written and decoded at five qualities; BD-rates are of the mean curves, in each of three metrics: refining
goes by the first alone. Needs the extra `eval`.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
import torch

from cae.codec.config import ROUNDS
from cae.codec.evaluation.curve import Point, bd_rate
from cae.codec.evaluation.metrics import METRICS
from cae.codec.image import read_picture
from cae.codec.pipeline import load_codec

QUALITIES = (10, 30, 50, 70, 90)
MEASURES = [METRICS[name] for name in ("psnr", "ms-ssim", "ssimulacra2")]


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
    # One row a file: bits per pixel, then each metric.
    rows: dict[tuple[int, int], list[list[float]]] = {}
    seconds = dict.fromkeys(efforts, 0.0)
    for path in sorted(folder.glob("*.png"))[::step]:
        picture = read_picture(path)
        for effort in efforts:
            for quality in QUALITIES:
                start = time.perf_counter()
                data = codec.encode(picture, quality, effort=effort)
                seconds[effort] += time.perf_counter() - start
                decoded = codec.decode(data).pixels
                values = [measure.curve(measure.measure(picture.pixels, decoded)) for measure in MEASURES]
                bpp = 8 * len(data) / picture.pixels[..., 0].size
                rows.setdefault((effort, quality), []).append([bpp, *values])

    def curve(effort: int, measure: int) -> list[Point]:
        means = [np.mean(rows[effort, quality], axis=0) for quality in QUALITIES]
        return [Point(float(mean[0]), float(mean[1 + measure])) for mean in means]

    first = efforts[0]
    files = len(QUALITIES) * len(rows[first, QUALITIES[0]])
    print(f"{files} files a level, {threads} threads; BD-rates against effort {first}")
    print("effort " + "".join(f"{measure.label:>13}" for measure in MEASURES) + "  s a file  times as long")
    for effort in efforts:
        rates = [bd_rate(curve(first, index), curve(effort, index)) for index in range(len(MEASURES))]
        print(
            f"{effort:6} "
            + "".join(f"{rate:11.2f} %" for rate in rates)
            + f"  {seconds[effort] / files:8.3f}  {seconds[effort] / seconds[first]:13.1f}"
        )


if __name__ == "__main__":
    main()
