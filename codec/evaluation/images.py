"""The images that are measured: found, checked and known by a hash of their pixels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ...bitstream.errors import ImageError, InputError
from ..image.picture import read_picture, to_rgb
from ..model.arrays import Pixels


@dataclass(frozen=True)
class TestImage:
    """An image file that can be read; sha256: of its size and 8-bit RGB pixels, in hexadecimal digits."""

    __test__ = False  # no class of tests, whatever pytest thinks of the name

    name: str
    path: Path
    width: int
    height: int
    sha256: str
    notes: tuple[str, ...] = ()

    @property
    def pixels(self) -> int:
        """Their number."""
        return self.width * self.height


def read_rgb(path: Path) -> tuple[Pixels, tuple[str, ...]]:
    """What all codecs are given of a file: uint8 RGB [H, W, 3], without alpha; and notes of what was converted."""
    picture = read_picture(path)
    pixels, notes = picture.pixels, picture.notes
    if picture.grey:
        pixels, notes = to_rgb(pixels), (*notes, "grey, measured as RGB")
    return pixels, notes if picture.alpha is None else (*notes, "alpha left out")


def digest(pixels: Pixels) -> str:
    """SHA-256 of height and width (two little-endian 32-bit integers) and of the RGB bytes, row by row."""
    size = np.array(pixels.shape[:2], "<u4").tobytes()
    return hashlib.sha256(size + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def find_images(sources: Iterable[Path]) -> list[Path]:
    """The files among files and folders; of a folder those with the suffix of an image, in order of their names.

    Raises InputError for a folder without any.
    """
    Image.init()
    found: list[Path] = []
    for source in sources:
        if not source.is_dir():
            found.append(source)
            continue
        inside = sorted(path for path in source.iterdir() if path.suffix.lower() in Image.EXTENSION and path.is_file())
        if not inside:
            raise InputError(f"{source}: a folder without images")
        found.extend(inside)
    return found


def open_images(paths: Iterable[Path]) -> tuple[list[TestImage], list[str]]:
    """The images among the files, each once, and a line for each file that is none."""
    images: dict[Path, TestImage] = {}
    failures = []
    for path in paths:
        try:
            pixels, notes = read_rgb(path)
        except ImageError as error:
            failures.append(str(error))
            continue
        height, width = pixels.shape[:2]
        images[path.resolve()] = TestImage(path.name, path, width, height, digest(pixels), notes)
    names = [image.name for image in images.values()]
    ambiguous = {name for name in names if names.count(name) > 1}
    common = os.path.commonpath([path.parent for path in images]) if ambiguous else ""
    return [
        TestImage(str(path.relative_to(common)), image.path, image.width, image.height, image.sha256, image.notes)
        if image.name in ambiguous
        else image
        for path, image in images.items()
    ], failures
