"""Rectangles against the sets of positions that they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cae.bitstream.rectangle import Rectangle

rectangles = st.builds(Rectangle, st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9))


def positions(rectangle: Rectangle) -> set[tuple[int, int]]:
    return {(y, x) for y in range(rectangle.top, rectangle.bottom) for x in range(rectangle.left, rectangle.right)}


@given(rectangles, rectangles, st.integers(0, 5))
def test_grown_and_clipped(own: Rectangle, limits: Rectangle, margin: int) -> None:
    near = {
        (y, x)
        for y in range(own.top - margin, own.bottom + margin)
        for x in range(own.left - margin, own.right + margin)
    }
    assert positions(own.grown(margin, limits)) == near & positions(limits)
    assert positions(own.clipped(limits)) == positions(own) & positions(limits)


@given(rectangles, st.integers(1, 4))
def test_other_units(own: Rectangle, side: int) -> None:
    assert positions(own.covering(side)) == {(y // side, x // side) for y, x in positions(own)}
    fine = {(side * y + dy, side * x + dx) for y, x in positions(own) for dy in range(side) for dx in range(side)}
    assert positions(own.scaled(side)) == fine
    assert own.scaled(side).covering(side) == own


@given(rectangles, rectangles)
def test_places_in_another(own: Rectangle, other: Rectangle) -> None:
    outer = own.grown(3, Rectangle(0, 0, 20, 20))
    rows, columns = own.within(outer)
    values = [[(y, x) for x in range(outer.left, outer.right)] for y in range(outer.top, outer.bottom)]
    assert {place for row in values[rows] for place in row[columns]} == positions(own)
    assert positions(own.moved(other.top, other.left)) == {(y + other.top, x + other.left) for y, x in positions(own)}


@given(rectangles, st.integers(1, 5), st.integers(1, 5))
def test_parts(own: Rectangle, height: int, width: int) -> None:
    parts = list(own.parts(height, width))
    assert parts == sorted(parts)
    assert all(part.height <= height and part.width <= width for part in parts)
    assert sum(len(positions(part)) for part in parts) == len(positions(own))
    assert set().union(*map(positions, parts)) == positions(own)


def test_pixels_of_a_tile_end_where_the_image_does() -> None:
    area, outer = Rectangle(4, 8, 4, 4), Rectangle(1, 5, 7, 7)
    pixels = area.scaled(16).clipped(Rectangle(0, 0, 101, 192))
    assert pixels.within(outer.scaled(16)) == (slice(48, 48 + 37), slice(48, 48 + 64))
