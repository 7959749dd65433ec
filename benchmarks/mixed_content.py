"""Sizes of whole files at equal SSIMULACRA2, picture by picture, and without loss: screens, drawings, mixed pictures.

    python benchmarks/mixed_content.py FOLDER ... --codecs cae,jxl,avif --at 80 --at 85

make_screens.py makes such pictures. Of each codec the smallest file is looked for, by halving its scale of qualities,
that has at least so much; a file without loss is one of them.
"""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path

import click
import numpy as np
from PIL import Image

from cae.codec.evaluation.codecs import make_codec
from cae.codec.evaluation.images import find_images, read_rgb
from cae.codec.evaluation.metrics import METRICS
from cae.codec.evaluation.protocol import ImageCodec
from cae.codec.model.arrays import Pixels


def smallest(codec: ImageCodec, original: Pixels, wanted: float, known: dict[int, tuple[int, float]]) -> int | None:
    """Bytes of the smallest file found that has what is wanted, None where the highest quality has less. known: sizes
    and values at steps of the scale of qualities, to which those are added that are measured."""
    low, high, step = codec.scale
    last = round((high - low) / step)

    def value(index: int) -> float:
        if index not in known:
            data = codec.encode(original, low + index * step)
            known[index] = len(data), METRICS["ssimulacra2"].measure(original, codec.decode(data))
        return known[index][1]

    below, above = -1, last + 1
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if value(middle) >= wanted else (middle, above)
    sizes = [size for size, reached in known.values() if reached >= wanted]
    return min(sizes, default=None)


def lossless_webp(original: Pixels) -> int:
    """Bytes, as Pillow writes it at the quality that patches are written at."""
    file = io.BytesIO()
    Image.fromarray(original).save(file, "WEBP", lossless=True, method=4, quality=100)
    return len(file.getvalue())


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--codecs", default="cae,jxl,avif", show_default=True)
@click.option("--at", "values", multiple=True, type=float, default=(80.0, 85.0), show_default=True)
@click.option("--lossless/--no-lossless", default=True, show_default=True, help="Also lossless WebP and cae.")
def main(folders: tuple[Path, ...], codecs: str, values: tuple[float, ...], lossless: bool) -> None:
    """Prints bits per pixel."""
    made = [make_codec(name) for name in codecs.split(",")]
    columns = [f"{codec.name} {value:g}" for value in values for codec in made]
    exact = make_codec("cae:patches=all") if lossless else None
    columns += ["webp lossless", "cae lossless"] if exact else []
    print("picture", *columns, sep="\t", flush=True)
    rows: dict[str, list[float]] = defaultdict(list)
    for path in find_images(folders):
        original = read_rgb(path)[0]
        pixels = original.shape[0] * original.shape[1]
        sizes: dict[str, int | None] = {}
        for codec in made:
            known: dict[int, tuple[int, float]] = {}
            sizes |= {f"{codec.name} {value:g}": smallest(codec, original, value, known) for value in values}
        if exact:
            data = exact.encode(original, 100)
            assert np.array_equal(exact.decode(data), original)
            sizes |= {"webp lossless": lossless_webp(original), "cae lossless": len(data)}
        for name in columns:
            size = sizes[name]
            rows[name].append(np.nan if size is None else 8 * size / pixels)
        print(path.stem, *(f"{rows[name][-1]:.4f}" for name in columns), sep="\t", flush=True)
    print("mean", *(f"{np.mean(rows[name]):.4f}" for name in columns), sep="\t")


if __name__ == "__main__":
    main()
