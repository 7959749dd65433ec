"""A check of every block's error against its bound (docs/reliability.md), on pictures of flat cells, synthetic ones,
blocks of images in any order and augmented images, at all qualities.

    python benchmarks/worst_blocks.py --blocks 100000 [FOLDER ...]

Prints how many blocks are beyond their bound, and the worst. The exit code is 1 if any is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import skimage.data
from PIL import Image

from cae.codec.encode.block_bound import excess
from cae.codec.encode.options import EncodeOptions
from cae.codec.image.picture import Picture, read_picture, to_rgb
from cae.codec.model.arrays import Pixels
from cae.codec.model.rate import rate_index_of
from cae.codec.select import load_on_cpu
from cae.codec.training import augment, content

SIDE = 256
"""Pixels to a side of a picture: 256 blocks."""

Random = np.random.Generator


def flats(random: Random) -> Pixels:
    """A picture of cells of 64x64 pixels in any colour, often a pure one, with slopes and noise."""
    y, x = np.mgrid[0:64, 0:64] / 63.0 - 0.5
    out = np.empty((SIDE, SIDE, 3))
    for top, left in np.ndindex(SIDE // 64, SIDE // 64):
        pure = np.where(random.random(3) < 0.5, random.uniform(0, 30, 3), random.uniform(200, 255, 3))
        base = random.uniform(0, 255, 3) if random.random() < 0.7 else pure
        slopes, noise = random.normal(0, random.choice([0, 5, 20]), (2, 3)), random.choice([0, 0.5, 1, 2, 4])
        cell = base + slopes[0] * y[..., None] + slopes[1] * x[..., None]
        cell = cell + random.normal(0, noise, (64, 64, 1)) + random.normal(0, noise * random.random(), (64, 64, 3))
        out[64 * top : 64 * top + 64, 64 * left : 64 * left + 64] = cell
    return content.to_bytes(out)


def recombined(images: Sequence[Pixels], random: Random) -> Pixels:
    """A picture of squares of 16, 32 or 64 pixels from anywhere in some images, some of them augmented."""
    side = int(random.choice([16, 32, 64]))
    out = np.empty((SIDE, SIDE, 3), np.uint8)
    for top, left in np.ndindex(SIDE // side, SIDE // side):
        image = images[random.integers(len(images))]
        row, column = (int(random.integers(0, size - side + 1)) for size in image.shape[:2])
        block = np.ascontiguousarray(image[row : row + side, column : column + side])
        if random.random() < 0.3:
            block = augment.change(block, random)
        out[side * top : side * (top + 1), side * left : side * (left + 1)] = block
    return out


def pictures(images: Sequence[Pixels], random: Random) -> Iterator[tuple[str, Pixels]]:
    """Gives (kind, picture, uint8 [SIDE, SIDE, 3]) without end."""
    while True:
        yield "flat cells", flats(random)
        yield "drawn", content.draw(SIDE, random)
        yield "recombined", recombined(images, random)
        yield "changed", augment.change(crop(images[random.integers(len(images))], random), random)


def crop(image: Pixels, random: Random) -> Pixels:
    """A piece, uint8 [SIDE, SIDE, 3], of an image that is at least that large."""
    row, column = (int(random.integers(0, size - SIDE + 1)) for size in image.shape[:2])
    return np.ascontiguousarray(image[row : row + SIDE, column : column + SIDE])


def load(folders: Sequence[Path]) -> list[Pixels]:
    """The PNG images of folders, or some of scikit-image's, of at least SIDE pixels a side."""
    found = [to_rgb(read_picture(path).pixels) for folder in folders for path in sorted(folder.glob("*.png"))]
    images = found or [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()]
    return [np.asarray(Image.fromarray(image)) for image in images if min(image.shape[:2]) >= SIDE]


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--blocks", default=100_000, show_default=True, help="How many.")
@click.option("--seed", default=0, show_default=True)
@click.option("--effort", type=click.IntRange(1, 9), help="One for all, instead of 1 to 4 in turns.")
def main(folders: tuple[Path, ...], blocks: int, seed: int, effort: int | None) -> None:
    """Encode, decode and look at each block, on PNG images of FOLDERS or a few photographs."""
    random, codec = np.random.default_rng(seed), load_on_cpu()
    images = load(folders)
    done, beyond, worst = 0, 0, (0.0, "")
    for number, (kind, pixels) in enumerate(pictures(images, random)):
        if done >= blocks:
            break
        quality, own = float(random.integers(0, 101)), effort or 1 + number // 4 % 4
        # Without patches, which are exact.
        (data,) = codec.encode_pictures([Picture(pixels)], EncodeOptions(quality, effort=own, patches="off"))
        shown = codec.decode(data).pixels
        ratios = excess(codec.coder.networks, rate_index_of(quality), pixels[None], shown[None])[0]
        done += ratios.size
        beyond += int((ratios > 1).sum())
        top, left = np.unravel_index(ratios.argmax(), ratios.shape)
        ratio = float(ratios[top, left])
        if ratio > 1:
            print(f"{kind}, quality {quality:g}, effort {own}, block {left}, {top}: {ratio:.2f} of its bound")
        worst = max(worst, (ratio, f"{kind}, quality {quality:g}, effort {own}"))
    print(f"{done:,} blocks, {beyond} beyond their bound; the worst has {worst[0]:.2f} of it ({worst[1]})")
    raise SystemExit(beyond > 0)


if __name__ == "__main__":
    main()
