"""The cost of tiles on images of 12 megapixels: bytes, and differences of pixels from those of an untiled synthesis.

    python benchmarks/tiles.py FOLDER [--count 3] [--quality 50] [--threads 2]

Photographs of that size are made of the PNG images of FOLDER in two ways: mosaics of them, and single ones enlarged
(Lanczos), which are smoother than real photographs. Untiled: prior and synthesis run once over the whole image.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch
from big_images import mosaic
from PIL import Image

from cae.bitstream.container import unpack
from cae.codec.encode.analysis_windows import analyse
from cae.codec.image.picture import read_picture
from cae.codec.model.arrays import Pixels
from cae.codec.model.rate import rate_index_of
from cae.codec.torch_codec import Codec, load_codec

WIDTH, HEIGHT = 4032, 3024


def compare(codec: Codec, name: str, pixels: Pixels, quality: float) -> float:
    """Codes an image with and without tiles, and prints a line about it; returns the relative excess in bytes."""
    data = codec.encode(read_picture(pixels), quality, effort=1)
    container = unpack(data)
    row = rate_index_of(quality)
    (untiled_tile,) = codec.coder.encode(*codec.coder.quantise(analyse(codec.coder.networks, [pixels], row), row))
    untiled = len(untiled_tile.payload) + len(data) - sum(len(tile.payload) for tile in container.tiles)
    untiled -= 9 * (len(container.tiles) - 1)  # lengths and checksums of the other tiles
    tiled = codec.decode(data).pixels.astype(int)
    whole = codec.coder.pixels(codec.decode_latents(container), row)
    whole = whole[: pixels.shape[0], : pixels.shape[1]].astype(int)
    excess = len(data) / untiled - 1
    difference = np.abs(tiled - whole)
    print(
        f"{name}: {len(container.tiles)} tiles, {len(data):,} bytes, untiled {untiled:,}: {100 * excess:+.3f} %; "
        f"pixels differ by at most {difference.max()}, {100 * (difference > 0).mean():.4f} % of the samples",
        flush=True,
    )
    return excess


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--count", default=3, show_default=True)
@click.option("--quality", default=50, show_default=True)
@click.option("--threads", default=2, show_default=True)
def main(folder: Path, count: int, quality: int, threads: int) -> None:
    """Compare on `count` images of each kind."""
    torch.set_num_threads(threads)
    codec = load_codec("cpu")
    whole = mosaic(folder, HEIGHT, WIDTH * count)
    paths = sorted(folder.glob("*.png"))
    with torch.inference_mode():
        for index in range(count):
            part = np.ascontiguousarray(whole[:, WIDTH * index : WIDTH * (index + 1)])
            compare(codec, f"mosaic {index}", part, quality)
            with Image.open(paths[index * len(paths) // count]) as image:
                large = np.asarray(image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))
            compare(codec, f"enlarged {paths[index * len(paths) // count].name}", large.copy(), quality)


if __name__ == "__main__":
    main()
