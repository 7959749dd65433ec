"""Makes the pictures of sampling.md, in docs/sampling/, and prints the figures that it gives.

    python docs/make_sampling.py

The photographs come with scikit-image: the astronaut (NASA, public domain), Chelsea the cat (Stefan van der Walt, CC0)
and the cup of coffee (Rachel Michetti, CC0).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image

from cae.bitstream.container import unpack
from cae.codec.bit_usage import bit_usage
from cae.codec.codec import FileCoder
from cae.codec.encode.options import EncodeOptions
from cae.codec.image.picture import Picture
from cae.codec.model.distortion import psnr
from cae.codec.sampling.sample import between, made_up, redrawn
from cae.codec.select import load_on_cpu

Pixels = npt.NDArray[np.uint8]

FOLDER = Path(__file__).parent / "sampling"
QUALITY, SEED = 50, 1
TEMPERATURES = (0, 0.3, 0.6, 1, 1.5)
GAP = 6
"""Pixels of white between pictures."""


def main() -> None:
    """Draws all pictures."""
    codec = load_on_cpu()
    FOLDER.mkdir(exist_ok=True)
    file = encoded(codec, skimage.data.astronaut()[:320, 80:400])
    decoded = codec.decode(file).pixels
    usage = bit_usage(codec, unpack(file))
    parts = np.array([usage.hyper, *usage.steps])
    print("bits of hyper-latents and steps, %:", np.round(100 * parts / parts.sum()).astype(int).tolist())
    kept = [redrawn(codec, file, steps, SEED, 1).pixels for steps in (3, 2, 1, 0)]
    save("keep", [decoded, *kept])
    print("kept 3, 2, 1 steps, hyper-latents: PSNR", [f"{psnr(own, decoded):.1f} dB" for own in kept])
    probable = [redrawn(codec, file, steps, SEED, 0).pixels for steps in (3, 2, 1, 0)]
    save("probable", [decoded, *probable])
    print("the same at temperature 0: PSNR", [f"{psnr(own, decoded):.1f} dB" for own in probable])
    save("temperature", [redrawn(codec, file, 0, SEED, temperature).pixels for temperature in TEMPERATURES])
    save("nothing", [made_up(codec, 320, 240, quality, SEED, 1).pixels for quality in (0, 10, 50, 90)])
    pair = encoded(codec, skimage.data.chelsea()[:288, 60:380]), encoded(codec, skimage.data.coffee()[:288, 120:440])
    frames = [picture.pixels for picture in between(codec, *pair, 5)]
    save("between", frames)
    faded = ((frames[0].astype(np.uint16) + frames[-1] + 1) // 2).astype(np.uint8)
    print(f"the middle one against the mean of both pictures: PSNR {psnr(frames[2], faded):.1f} dB")
    print(f"{sum(path.stat().st_size for path in FOLDER.iterdir()):,} bytes of pictures")


def encoded(codec: FileCoder, pixels: Pixels) -> bytes:
    """The file of pixels, uint8 [H, W, 3], without patches."""
    picture = Picture(np.ascontiguousarray(pixels))
    return codec.encode_pictures([picture], EncodeOptions(QUALITY, patches="off"))[0]


def save(name: str, pictures: Sequence[Pixels]) -> None:
    """Writes pictures of equal size, uint8 [H, W, 3], side by side."""
    height, width, _ = pictures[0].shape
    strip = Image.new("RGB", (len(pictures) * (width + GAP) - GAP, height), "white")
    for index, pixels in enumerate(pictures):
        strip.paste(Image.fromarray(pixels), (index * (width + GAP), 0))
    strip.save(FOLDER / f"{name}.jpg", quality=82, optimize=True)


if __name__ == "__main__":
    main()
