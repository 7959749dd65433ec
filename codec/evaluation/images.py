"""The images that are measured: found in files and folders, read, and identified by a hash of their pixels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ...bitstream.errors import ImageError, InputError
from ..image.picture import read_picture, to_rgb
from ..model.arrays import Pixels


@dataclass(frozen=True)
class TestImage:
    """An image file that can be read. sha256: `digest` of its pixels; notes: what was converted; group: which of
    several kinds of images it is one of, "" where they are not told apart."""

    __test__ = False  # pytest would take it for a class of tests by its name

    name: str
    path: Path
    width: int
    height: int
    sha256: str
    notes: tuple[str, ...] = ()
    group: str = ""

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return self.width * self.height


def read_rgb(path: Path) -> tuple[Pixels, tuple[str, ...]]:
    """The pixels of a file as all codecs are given them, uint8 RGB [H, W, 3], without alpha, and notes of what was
    converted. Raises ImageError."""
    picture = read_picture(path)
    pixels, notes = picture.pixels, picture.notes
    if picture.grey:
        pixels, notes = to_rgb(pixels), (*notes, "grey, measured as RGB")
    return pixels, notes if picture.alpha is None else (*notes, "alpha left out")


def digest(pixels: Pixels) -> str:
    """The SHA-256, in hexadecimal, of height and width (little-endian 32-bit integers) and RGB bytes, row by row."""
    size = np.array(pixels.shape[:2], "<u4").tobytes()
    return hashlib.sha256(size + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def find_images(sources: Iterable[Path], deep: bool = False) -> list[Path]:
    """The files among files and folders; of a folder those with the suffix of an image, in order of their names.

    deep: those of its sub-folders follow, except hidden ones. Raises InputError for a folder without any."""
    Image.init()
    found: list[Path] = []
    for source in sources:
        if not source.is_dir():
            found.append(source)
            continue
        folders = [source]
        if deep:
            folders += sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))
        inside = [path for folder in folders for path in _images_in(folder)]
        if not inside:
            raise InputError(f"{source}: a folder without images")
        found.extend(inside)
    return found


def _images_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in Image.EXTENSION and path.is_file())


def open_images(paths: Iterable[Path], grouped: bool = False) -> tuple[list[TestImage], list[str]]:
    """The images among the files, each once, and a line for each file that is none.

    grouped: by the folder that each is in; the images of a group then follow one another."""
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
    # Images are named, and grouped by folders, by the path that was given, not by what a link there leads to.
    places = {Path(os.path.normpath(Path.cwd() / image.path)): image for image in images.values()}
    names = _distinct(places)
    groups = _distinct({place.parent for place in places}) if grouped else {}
    found = [replace(image, name=names[place], group=groups.get(place.parent, "")) for place, image in places.items()]
    order = list(dict.fromkeys(image.group for image in found))
    return sorted(found, key=lambda image: order.index(image.group)), failures


def _distinct(paths: Iterable[Path]) -> dict[Path, str]:
    """A different name for each file or folder: its own, or of several the same, the path from their common folder."""
    known = list(paths)
    names = [path.name for path in known]
    common = Path(os.path.commonpath([path.parent for path in known])) if len(set(names)) < len(names) else Path()
    return {
        path: str(path.relative_to(common)) if names.count(path.name) > 1 else path.name or str(path) for path in known
    }
