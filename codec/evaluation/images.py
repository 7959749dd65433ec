"""The images that are measured: found, checked and known by a hash of their pixels."""

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
    """An image file that can be read; sha256: of its size and 8-bit RGB pixels, in hexadecimal digits; group: which of
    several kinds of images it is one of, "" where they are not told apart."""

    __test__ = False  # no class of tests, whatever pytest thinks of the name

    name: str
    path: Path
    width: int
    height: int
    sha256: str
    notes: tuple[str, ...] = ()
    group: str = ""

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


def find_images(sources: Iterable[Path], deep: bool = False) -> list[Path]:
    """The files among files and folders; of a folder those with the suffix of an image, in order of their names.

    deep: then those of its sub-folders, too, but for hidden ones. Raises InputError for a folder without any.
    """
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

    grouped: by the folder that each is in; the images of a group then follow one another.
    """
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
    # Where they were found, links or not: that is what they are called, and the folder they were put into.
    places = {Path(os.path.normpath(Path.cwd() / image.path)): image for image in images.values()}
    names = _distinct(places)
    groups = _distinct({place.parent for place in places}) if grouped else {}
    found = [replace(image, name=names[place], group=groups.get(place.parent, "")) for place, image in places.items()]
    order = list(dict.fromkeys(image.group for image in found))
    return sorted(found, key=lambda image: order.index(image.group)), failures


def _distinct(paths: Iterable[Path]) -> dict[Path, str]:
    """Files or folders by name; those whose name another has, too, by their path from the folder common to all."""
    known = list(paths)
    names = [path.name for path in known]
    common = Path(os.path.commonpath([path.parent for path in known])) if len(set(names)) < len(names) else Path()
    return {
        path: str(path.relative_to(common)) if names.count(path.name) > 1 else path.name or str(path) for path in known
    }
