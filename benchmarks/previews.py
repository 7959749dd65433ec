"""What a picture of an eighth of the size costs, and how near it is to the means of the decoded pixels.

    python benchmarks/previews.py FOLDER [--quality 60] [--size 4000x3000] [--threads 2]

Each image of FOLDER is encoded and decoded in full and at 1/8. PSNR is that of the small picture against the means of
the full one's pixels over squares of 8x8. Then the images, side by side, make up a picture of the size asked for, whose
decoding is timed both ways in turns: medians, and the median of the ratios.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import click
import numpy as np

from cae.codec.backends.previews import SIDE
from cae.codec.decode.region import reduced
from cae.codec.image.picture import Picture, read_picture, to_rgb
from cae.codec.machine.threads import set_threads
from cae.codec.model.distortion import psnr
from cae.codec.select import load_on_cpu


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--quality", "qualities", multiple=True, type=float, default=[60], show_default=True)
@click.option("--size", default="4000x3000", show_default=True, help="Of the picture that is timed.")
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(folder: Path, qualities: tuple[float, ...], size: str, threads: int, rounds: int) -> None:
    """Compare on the images of FOLDER, for each quality."""
    set_threads(threads)
    images = [to_rgb(read_picture(path).pixels) for path in sorted(folder.glob("*.png"))]
    width, height = map(int, size.split("x"))
    large = collage(images, height, width)
    print("quality   PSNR: mean  lowest    full    1/8   ratio")
    for quality in qualities:
        found = [fidelity(image, quality) for image in images]
        full, small, ratio = times(large, quality, rounds)
        of_pixels = f"{quality:7g} {statistics.mean(found):8.1f} dB {min(found):7.1f}"
        print(f"{of_pixels} {full:7.2f} s {small:6.2f} s {ratio:7.2f}", flush=True)


def fidelity(pixels: np.ndarray, quality: float) -> float:
    """PSNR, in dB, of the picture at 1/8 against the means of the pixels decoded in full."""
    codec = load_on_cpu()
    data = codec.encode(Picture(pixels), quality, effort=1)
    return psnr(codec.decode(data, scale=SIDE).pixels, reduced(codec.decode(data).pixels, SIDE))


def collage(images: list[np.ndarray], height: int, width: int) -> np.ndarray:
    """uint8 [height, width, 3], all images side by side in rows, over and over."""
    upright = [image if image.shape[0] <= image.shape[1] else image.swapaxes(0, 1) for image in images]
    row = np.concatenate([image[: min(map(len, upright))] for image in upright], axis=1)
    columns = np.arange(width)
    rows = [row[:, (columns + width * index) % row.shape[1]] for index in range(-(-height // len(row)))]
    return np.concatenate(rows)[:height]


def times(pixels: np.ndarray, quality: float, rounds: int) -> tuple[float, float, float]:
    """Seconds to decode a picture in full and at 1/8, and their ratio: medians of rounds."""
    codec = load_on_cpu()
    data = codec.encode(Picture(pixels), quality, effort=1)
    found: dict[int, list[float]] = {1: [], SIDE: []}
    for _ in range(rounds):
        for scale, own in found.items():
            start = time.perf_counter()
            codec.decode(data, scale=scale)
            own.append(time.perf_counter() - start)
    ratios = [small / full for full, small in zip(found[1], found[SIDE], strict=True)]
    return statistics.median(found[1]), statistics.median(found[SIDE]), statistics.median(ratios)


if __name__ == "__main__":
    main()
