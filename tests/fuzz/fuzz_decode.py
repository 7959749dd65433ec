"""Coverage-guided fuzzing of the decoder; needs `pip install atheris`.

    python tests/fuzz/fuzz_decode.py CORPUS -max_total_time=600 -max_len=2000

CORPUS is a folder that is filled with small files first and then grows by what reaches new code. Whatever comes must
decode or raise a CaeError; anything else ends the run and is written to crash-....
"""

from __future__ import annotations

import contextlib
import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cae"]):
    import cae
    from cae.bitstream.salvage import salvage
    from cae.codec.encode.options import EncodeOptions
    from cae.codec.image.picture import read_picture
    from cae.codec.info import info
    from cae.codec.torch_codec import load_codec

import numpy as np
import torch
from mutation import mutate, repair

MAX_PIXELS = 128 * 128


def seeds() -> list[bytes]:
    """Small files of all kinds."""
    codec = load_codec("cpu")
    y, x = np.mgrid[:50, :70]
    plane = ((3 * x + 5 * y) % 256).astype(np.uint8)
    images = [plane[:1, :1], plane, np.dstack([plane] * 3), np.dstack([plane] * 4), np.dstack([plane] * 2)]
    files = [codec.encode(read_picture(image), quality) for image in images for quality in (0, 60, 100)]
    exact = EncodeOptions(patches="all")
    return files + [codec.encode_pictures([read_picture(image)], exact)[0] for image in images]


def try_all(data: bytes) -> None:
    """The three ways to read a file."""
    codec = load_codec("cpu")
    with contextlib.suppress(cae.CaeError):
        info(data)
    with contextlib.suppress(cae.CaeError):
        salvage(data)
    with contextlib.suppress(cae.CaeError):
        codec.decode(data, max_pixels=MAX_PIXELS, allow_damaged=data[-1:] > b"\x80")


def custom_mutator(data: bytes, max_size: int, seed: int) -> bytes:
    """libFuzzer's own changes or ours, and mostly with sound checksums."""
    rng = random.Random(seed)
    changed = atheris.Mutate(data, max_size) if rng.random() < 0.5 else mutate(data, rng)
    return (repair(changed) if rng.random() < 0.8 else changed)[:max_size]


def main() -> None:
    """As libFuzzer: options and the corpus on the command line."""
    torch.set_num_threads(1)
    corpus = Path(next(word for word in sys.argv[1:] if not word.startswith("-")))
    corpus.mkdir(exist_ok=True)
    for index, data in enumerate(seeds()):
        (corpus / f"seed-{index}").write_bytes(data)
    atheris.Setup(sys.argv, try_all, custom_mutator=custom_mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
