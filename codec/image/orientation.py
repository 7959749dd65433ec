"""The orientation of pictures, by which viewers turn them."""

from __future__ import annotations

from PIL import Image

from ..model.arrays import Pixels
from . import exif


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of an image, 1..8; 1, upright, where there is none or it makes no sense."""
    tags = exif.tags_of(image)
    value = tags.get(exif.ORIENTATION, 1) if tags else 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turn(values: Pixels, orientation: int) -> Pixels:
    """Samples [H, W, ...] turned as they are to be seen. Orientations 5 to 8 exchange H and W."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values
