"""How many near duplicates `cae similar` finds, against perceptual hashes. Needs the extra `features`.

    python benchmarks/near_duplicates.py FOLDER... [--others FOLDER]

Each picture of the folders is encoded again, scaled and cropped, written to a file and compared with all originals as
`cae similar` does, and by pHash and dHash (imagehash) of the decoded pixels. Recall is the share of changed pictures
that are within a threshold of their original: the threshold of the command, or for hashes 10 of 64 bits, and the
largest threshold at which no two different originals are taken for one. --others: pictures that are all different, in
which pairs within the thresholds are counted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import click
import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

import cae
from cae.cli.describing import Described, Describing, signature
from cae.cli.files import STREAM
from cae.cli.work import Job, do
from cae.codec.features import distances
from cae.codec.image.picture import SUFFIXES
from cae.codec.machine.threads import set_threads
from cae.codec.options import SIMILAR

Floats = npt.NDArray[np.float32]

CROPS = 3
"""How many parts are cut out of each picture for each size."""


def changed(image: Image.Image, random: np.random.Generator) -> Iterator[tuple[str, str, bytes]]:
    """The name, the suffix and the bytes of a file for each change of a picture."""
    for quality in (10, 30, 50, 75, 90):
        yield f"JPEG {quality}", ".jpg", saved(image, "JPEG", quality=quality)
    for quality in (10, 30, 50, 70, 90):
        yield f"cae {quality}", ".cae", cae.encode(image, quality, device="cpu")
    for percent in (5, 10, 20):
        for _ in range(CROPS):
            width, height = (round(side * (1 - percent / 100)) for side in image.size)
            left, top = (int(random.integers(0, a - b + 1)) for a, b in zip(image.size, (width, height), strict=True))
            yield f"cropped by {percent} %", ".png", saved(image.crop((left, top, left + width, top + height)), "PNG")
    for name, scale in (("3/4", 0.75), ("1/2", 0.5), ("1/4", 0.25), ("1/8", 0.125)):
        width, height = (round(side * scale) for side in image.size)
        yield f"scaled to {name}", ".png", saved(image.resize((width, height), Image.Resampling.LANCZOS), "PNG")
    yield "grey", ".png", saved(image.convert("L"), "PNG")
    yield "mirrored", ".png", saved(ImageOps.mirror(image), "PNG")
    yield "turned", ".png", saved(image.transpose(Image.Transpose.ROTATE_90), "PNG")


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    """The image as a file."""
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def described(path: Path) -> dict[str, Floats]:
    """What each method knows of a file: a signature [99], and hashes as bits [64]."""
    outcome = do(Describing(signature, "cpu", 2**30, quiet=True), Job(path, STREAM))
    assert isinstance(outcome, Described)
    with cae.decode(path) if path.suffix == ".cae" else Image.open(path) as image:
        hashes = {"pHash": imagehash.phash(image), "dHash": imagehash.dhash(image)}
    return {"cae similar": outcome.vector} | {key: own.hash.ravel().astype(np.float32) for key, own in hashes.items()}


def bits(one: Floats, others: Floats) -> Floats:
    """How many bits of hashes [k, 64] and [n, 64] differ, [k, n]."""
    return np.abs(one[:, None] - others).sum(axis=2)


METHODS: dict[str, tuple[Callable[[Floats, Floats], Floats], float]] = {
    "cae similar": (distances, SIMILAR),
    "pHash": (bits, 10),
    "dHash": (bits, 10),
}
"""The distance and the usual threshold of each."""


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--others", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folders: tuple[Path, ...], others: Path | None) -> None:
    """Measure on the pictures of FOLDERS."""
    set_threads(1)
    originals = [path for folder in folders for path in files(folder)]
    known = [described(path) for path in originals]
    random = np.random.default_rng(0)
    found: dict[str, list[tuple[int, dict[str, Floats]]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for index, path in enumerate(originals):
            with Image.open(path) as image:
                for change, suffix, data in changed(image.convert("RGB"), random):
                    copy = Path(folder) / f"copy{suffix}"
                    copy.write_bytes(data)
                    found.setdefault(change, []).append((index, described(copy)))
    print(f"{len(originals)} originals; recall at the usual threshold, at the largest without a false pair:")
    for method, (measure, usual) in METHODS.items():
        vectors = np.stack([own[method] for own in known])
        between = measure(vectors, vectors)[np.triu_indices(len(known), 1)]
        least = float(between.min())
        false = int((between <= usual).sum())
        print(f"{method}: threshold {usual:g}, {false} false pairs of {len(between)}; below {least:.3f}")
        for change, pairs in found.items():
            own = np.array([measure(each[method][None], vectors[[index]])[0, 0] for index, each in pairs])
            print(f"  {change:16} {(own <= usual).mean():.3f} {(own < least).mean():.3f}  farthest {own.max():.3f}")
    if others:
        strangers = [described(path) for path in files(others)]
        for method, (measure, usual) in METHODS.items():
            vectors = np.stack([own[method] for own in strangers])
            rows = [measure(vectors[[i]], vectors[i + 1 :])[0] <= usual for i in range(len(vectors) - 1)]
            print(f"{method}: {sum(map(np.sum, rows))} pairs within {usual:g} among {len(vectors)} other pictures")


def files(folder: Path) -> list[Path]:
    """The images of a folder."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


if __name__ == "__main__":
    main()
