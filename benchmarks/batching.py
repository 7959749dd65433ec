"""Time to code images of equal size together, against one after the other.

    python benchmarks/batching.py IMAGE [--device cuda] [--threads 2]

Squares are cut out of IMAGE, as many of each size as are taken together on the device, and encoded at efforts 1 and 2
and decoded both ways, in turns; the files and pixels have to be the same. Medians of all rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from cae.codec.codec import FileCoder
from cae.codec.image.picture import Picture, read_picture
from cae.codec.machine.threads import set_threads
from cae.codec.select import load_on_cpu
from cae.codec.torch_codec import load_codec

SIDES = (64, 100, 128, 192, 256, 384, 512)
QUALITY = 60


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(image: Path, device: str, threads: int, rounds: int) -> None:
    """Compare on parts of IMAGE, which is at least 512 pixels wide and high."""
    set_threads(threads)
    codec = load_codec(device) if device == "cuda" else load_on_cpu()
    pixels = read_picture(image).pixels
    print("pixels  images  part      one by one     together   ratio")
    for side in SIDES:
        count = min(64, codec.room // side**2)
        if count > 1:
            compare(codec, cut(pixels, side, count), rounds)


def cut(pixels: Any, side: int, count: int) -> list[Picture]:
    """So many random squares of an image."""
    places = np.random.default_rng(1).random((count, 2)) * (np.array(pixels.shape[:2]) - side + 1)
    return [Picture(np.ascontiguousarray(pixels[y : y + side, x : x + side])) for y, x in places.astype(int)]


def compare(codec: FileCoder, pictures: list[Picture], rounds: int) -> None:
    """Times encoding at two efforts and decoding, one by one and together; prints a line for each."""
    files = codec.encode_many(pictures, QUALITY)
    parts: dict[str, tuple[Callable[[], list[Any]], Callable[[], list[Any]]]] = {
        f"encode, effort {effort}": (
            lambda effort=effort: [codec.encode(picture, QUALITY, effort=effort) for picture in pictures],
            lambda effort=effort: codec.encode_many(pictures, QUALITY, effort=effort),
        )
        for effort in (1, 2)
    }
    parts["decode"] = (
        lambda: [codec.decode(data).pixels.tobytes() for data in files],
        lambda: [picture.pixels.tobytes() for picture in codec.decode_many(files)],
    )
    side, count = pictures[0].width, len(pictures)
    for name, (singly, jointly) in parts.items():
        if singly() != jointly():
            raise click.ClickException(f"{name}: not what it is alone")
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for call, found in zip((singly, jointly), times, strict=True):
                start = time.perf_counter()
                call()
                found.append((time.perf_counter() - start) / count * 1000)
        alone, together = map(statistics.median, times)
        print(f"{side:6} {count:7}  {name:16}{alone:7.1f} ms {together:9.1f} ms {together / alone:7.2f}", flush=True)


if __name__ == "__main__":
    main()
