"""Restoring beside other denoisers: colour PSNR to the clean picture after noise and after JPEG, mean over a folder.

    python benchmarks/restore.py FOLDER [--methods input,tv,nlm,bm3d,cae] [--every N]

`cae` is what `cae restore` does with what it recognises by itself; the others are told the truth: TV (scikit-image) and
non-local means (OpenCV) get the best strength of several for each row, BM3D (package bm3d) the noise's standard
deviation, and for JPEG the root mean squared error. Packages: scikit-image, opencv-python-headless, bm3d.
"""

from __future__ import annotations

import io
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from PIL import Image

from cae.codec.evaluation.metrics import psnr
from cae.codec.image.picture import read_picture, to_rgb
from cae.codec.model.arrays import Pixels
from cae.codec.restore.settings import RestoreOptions, recognise, restore
from cae.codec.select import load_restorer

Method = Callable[[Pixels, bytes, float, float], Pixels]
"""From a degraded picture, its file, the root mean squared error of its degradation, and a factor of the method's
strength, to the picture without it."""

NOISES, QUALITIES = (15, 25, 50), (10, 20, 40)


def by_cae(pixels: Pixels, data: bytes, error: float, factor: float) -> Pixels:
    options = RestoreOptions()
    return restore(load_restorer("cpu"), pixels, recognise(pixels, data, options), options)


def by_tv(pixels: Pixels, data: bytes, error: float, factor: float) -> Pixels:
    from skimage.restoration import denoise_tv_chambolle

    shown = denoise_tv_chambolle(pixels / 255, weight=factor * error / 255, channel_axis=-1)
    return np.clip(np.rint(255 * shown), 0, 255).astype(np.uint8)


def by_nlm(pixels: Pixels, data: bytes, error: float, factor: float) -> Pixels:
    import cv2

    strength = float(factor * error)
    return np.asarray(cv2.fastNlMeansDenoisingColored(np.ascontiguousarray(pixels), None, strength, strength, 7, 21))


def by_bm3d(pixels: Pixels, data: bytes, error: float, factor: float) -> Pixels:
    from bm3d import bm3d_rgb

    return np.clip(np.rint(255 * bm3d_rgb(pixels / 255, error / 255)), 0, 255).astype(np.uint8)


METHODS: dict[str, tuple[Method, tuple[float, ...]]] = {
    "input": (lambda pixels, *_: pixels, (1.0,)),
    "tv": (by_tv, (0.3, 0.5, 0.8)),
    "nlm": (by_nlm, (0.5, 0.7, 1.0)),
    "bm3d": (by_bm3d, (1.0,)),
    "cae": (by_cae, (1.0,)),
}
"""Methods, and the factors that the best is taken of."""


def degraded(clean: Pixels) -> Iterator[tuple[str, Pixels, bytes, float]]:
    """The rows: a name, the degraded picture, its file where it is JPEG, and the strength that is told."""
    random = np.random.default_rng(0)
    for deviation in NOISES:
        noisy = np.clip(np.rint(clean + random.normal(0, deviation, clean.shape)), 0, 255).astype(np.uint8)
        yield f"noise {deviation}", noisy, b"", deviation
    for quality in QUALITIES:
        file = io.BytesIO()
        Image.fromarray(clean).save(file, "JPEG", quality=quality)
        shown = to_rgb(read_picture(io.BytesIO(file.getvalue())).pixels)
        error = float(np.sqrt(np.square(shown.astype(np.float64) - clean).mean()))
        yield f"JPEG {quality}", shown, file.getvalue(), error
    yield "clean", clean, b"", 1.0


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--methods", default=",".join(METHODS), show_default=True)
@click.option("--every", default=1, help="Only every n-th picture.")
def main(folder: Path, methods: str, every: int) -> None:
    """Measure all PNG images of FOLDER."""
    found: dict[tuple[str, str, float], list[float]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    rows: list[str] = []
    for path in sorted(folder.glob("*.png"))[::every]:
        clean = to_rgb(read_picture(path).pixels)
        for row, shown, data, error in degraded(clean):
            rows += [row] if row not in rows else []
            for name in methods.split(","):
                method, factors = METHODS[name]
                for factor in factors:
                    start = time.perf_counter()
                    result = method(shown, data, error, factor)
                    seconds[name] += (time.perf_counter() - start) / len(factors)
                    same = np.array_equal(result, clean)
                    found[row, name, factor].append(60.0 if same else psnr(clean, result))
    names = methods.split(",")
    click.echo("PSNR, dB   " + "".join(f"{name:>8}" for name in names))
    for row in rows:
        best = [max(float(np.mean(found[row, name, factor])) for factor in METHODS[name][1]) for name in names]
        click.echo(f"{row:11}" + "".join(f"{value:8.2f}" for value in best))
    click.echo(f"{'seconds':11}" + "".join(f"{seconds[name]:8.1f}" for name in names))


if __name__ == "__main__":
    main()
