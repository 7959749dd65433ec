"""Where in a picture its error is: means over pictures hide a broken block, the largest error of a block does not.

Blocks are 16x16 pixels, aligned to the picture's top left; those that its right and bottom edges cut count over the
pixels that they have. A block's error is the mean squared error over its samples of red, green and blue.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..model.arrays import Pixels

SIDE = 16
"""Pixels to a side of a block: what a latent position of this codec covers, and a minimum coded unit of JPEG 4:2:0."""

PERCENTILE = 99.9


BLOCKS = (
    f"Worst block: of those of {SIDE}x{SIDE} pixels the one with the largest mean squared error, as a multiple of the "
    "picture's."
)
ERROR = "error, times the picture's"
TAIL = f"{PERCENTILE} %: that percentile of the blocks' errors, mean over the images."
FRAMED = "frames around the worst blocks"


@dataclass(frozen=True)
class BlockErrors:
    """How a picture's error is spread over its blocks.

    ratio: the largest error of a block over the mean squared error of the picture, at least 1; x, y: the top left pixel
    of that block, the first in reading order of several; mse: its error in squared levels of 8 bits. tail: the 99.9th
    percentile of the blocks' errors over the mean squared error of the picture, interpolated linearly between blocks.
    """

    ratio: float
    x: int
    y: int
    mse: float
    tail: float

    @property
    def psnr(self) -> float:
        """The worst block's error as a PSNR, in dB."""
        return 10 * math.log10(255**2 / self.mse)

    def rectangle(self, width: int, height: int) -> tuple[int, int, int, int]:
        """x, y, width and height of the worst block in a picture of that size."""
        return self.x, self.y, min(SIDE, width - self.x), min(SIDE, height - self.y)

    def row(self) -> tuple[str, str, str, str]:
        """Cells of a table about the worst block: x, y, PSNR, ERROR."""
        return str(self.x), str(self.y), f"{self.psnr:.2f}", f"{self.ratio:.1f}"

    def __str__(self) -> str:
        """The worst block in words."""
        return f"x {self.x}, y {self.y}: {self.psnr:.1f} dB, {self.ratio:.1f} times the picture's error"


def block_means(original: Pixels, decoded: Pixels) -> npt.NDArray[np.float64]:
    """uint8 RGB [H, W, 3] twice -> the mean squared error of each block [ceil(H / 16), ceil(W / 16)]."""
    height, width = original.shape[:2]
    rows, columns = np.arange(0, height, SIDE), np.arange(0, width, SIDE)
    squares = np.square(original.astype(np.int32) - decoded).sum(axis=2, dtype=np.int32)  # a block's sum fits, too
    sums = np.add.reduceat(np.add.reduceat(squares, rows, axis=0), columns, axis=1)
    sizes = np.outer(np.minimum(height - rows, SIDE), np.minimum(width - columns, SIDE))
    means: npt.NDArray[np.float64] = sums / (original.shape[2] * sizes)
    return means


def block_errors(original: Pixels, decoded: Pixels) -> BlockErrors | None:
    """How the error between two pictures, uint8 RGB [H, W, 3], is spread over blocks; None where they are equal."""
    mean = float(np.mean(np.square(original.astype(np.int32) - decoded), dtype=np.float64))
    if not mean:
        return None
    errors = block_means(original, decoded)
    row, column = np.unravel_index(int(errors.argmax()), errors.shape)
    worst = float(errors[row, column])
    tail = float(np.percentile(errors, PERCENTILE)) / mean
    return BlockErrors(worst / mean, SIDE * int(column), SIDE * int(row), worst, tail)


@dataclass(frozen=True)
class WorstBlock:
    """The block with the largest ratio among the pictures of a set, and which of them it is in."""

    image: str
    errors: BlockErrors


def worst_of(blocks: Iterable[tuple[str, BlockErrors | None]]) -> WorstBlock | None:
    """The block with the largest ratio among pictures, given as (name, errors): the first of several, None where no
    picture has an error."""
    found = [WorstBlock(name, errors) for name, errors in blocks if errors is not None]
    return max(found, key=lambda block: block.errors.ratio, default=None)
