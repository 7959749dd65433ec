"""Rectangles of latent positions, of tiles or of pixels, and the arithmetic of windows, halos and clipping."""

from collections.abc import Iterator
from typing import NamedTuple


class Rectangle(NamedTuple):
    """Rows top .. bottom - 1 and columns left .. right - 1 of a plane, in whole units of it."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The row below the last one."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """The column behind the last one."""
        return self.left + self.width

    def clipped(self, limits: "Rectangle") -> "Rectangle":
        """The part of this rectangle that lies within the limits; they must overlap."""
        top, left = max(self.top, limits.top), max(self.left, limits.left)
        return Rectangle(top, left, min(self.bottom, limits.bottom) - top, min(self.right, limits.right) - left)

    def grown(self, margin: int, limits: "Rectangle") -> "Rectangle":
        """This rectangle with a margin all round, clipped to the limits."""
        top, left = self.top - margin, self.left - margin
        return Rectangle(top, left, self.height + 2 * margin, self.width + 2 * margin).clipped(limits)

    def moved(self, down: int, right: int) -> "Rectangle":
        """This rectangle moved by so many rows and columns."""
        return Rectangle(self.top + down, self.left + right, self.height, self.width)

    def scaled(self, factor: int) -> "Rectangle":
        """This rectangle in smaller units, `factor` of which make one of its own, to a side."""
        return Rectangle(*(factor * value for value in self))

    def covering(self, side: int) -> "Rectangle":
        """The squares that this rectangle touches in a grid of squares of side x side units, counted in squares."""
        top, left = self.top // side, self.left // side
        return Rectangle(top, left, -(-self.bottom // side) - top, -(-self.right // side) - left)

    def within(self, outer: "Rectangle") -> tuple[slice, slice]:
        """The slices that take this rectangle's rows and columns out of an array that holds `outer`, around it."""
        top, left = self.top - outer.top, self.left - outer.left
        return slice(top, top + self.height), slice(left, left + self.width)

    def parts(self, height: int, width: int) -> Iterator["Rectangle"]:
        """Rectangles of at most this size, row by row from the top left, that cover this one without overlap."""
        for top in range(self.top, self.bottom, height):
            for left in range(self.left, self.right, width):
                yield Rectangle(top, left, min(height, self.bottom - top), min(width, self.right - left))
