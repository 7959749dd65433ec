"""Synthetic training crops of what photographs hardly have and other pictures do: flats in pure colours, gradients,
noise on them, shapes and lines, stripes and points of every contrast, text and screens.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ..model.arrays import Pixels

Random = np.random.Generator
Colour = tuple[int, int, int]

TEXT_SIZES = (8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 24, 30, 40)
"""Heights of letters, in pixels."""

LETTERS = string.ascii_letters * 3 + string.digits + " " * 24 + ".,:;-+*/()[]{}<>=!?&%$#@"


def draw(size: int, random: Random) -> Pixels:
    """Draws a crop, uint8 [size, size, 3], of a kind that is chosen by SHARES."""
    kind = KINDS[random.choice(len(KINDS), p=SHARES)]
    return np.ascontiguousarray(kind(size, random))


def _colour(random: Random) -> Colour:
    """A random colour: any, one with channels near 0 or 255, a grey, or one near grey."""
    kind = random.random()
    if kind < 0.35:
        values = random.integers(0, 256, 3)
    elif kind < 0.6:
        values = np.where(random.random(3) < 0.5, random.integers(0, 30, 3), random.integers(200, 256, 3))
    elif kind < 0.75:
        values = np.repeat(random.choice(np.array([0, 255, random.integers(256)])), 3)
    else:
        values = (random.integers(0, 256) + random.integers(-30, 31, 3)).clip(0, 255)
    r, g, b = values.tolist()
    return r, g, b


def _other(colour: Colour, random: Random) -> Colour:
    """A second colour: any, one that differs little in brightness, or one of the same luma."""
    kind = random.random()
    if kind < 0.4:
        return _colour(random)
    base = np.array(colour)
    if kind < 0.75:
        change = random.choice([-1, 1]) * random.choice([4, 8, 12, 24, 48]) * np.ones(3)
    else:
        red, blue = random.uniform(-1, 1, 2) * 120
        change = np.array([red, -(0.299 * red + 0.114 * blue) / 0.587, blue])  # no luma
    r, g, b = (base + change).round().clip(0, 255).astype(int).tolist()
    return r, g, b


def to_bytes(x: npt.NDArray[np.float32] | npt.NDArray[np.float64]) -> Pixels:
    """Rounds to the nearest levels of 8 bits."""
    levels: Pixels = x.round().clip(0, 255).astype(np.uint8)
    return levels


def _flats(size: int, random: Random) -> Pixels:
    """Cells of one colour each, some with a gradient, some with noise."""
    side = int(random.choice([16, 32, 64, size]))
    out = np.empty((size, size, 3), np.float32)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / max(side - 1, 1) - 0.5
    for top in range(0, size, side):
        for left in range(0, size, side):
            slopes = random.normal(0, random.choice([0, 0, 5, 20, 80]), (2, 3))
            noise = random.choice([0, 0, 0.5, 1, 2, 4, 10])
            cell = _colour(random) + slopes[0] * y[..., None] + slopes[1] * x[..., None]
            cell = cell + random.normal(0, noise, (side, side, 1)) if noise else cell
            cell = cell + random.normal(0, noise * random.random(), (side, side, 3)) if noise else cell
            out[top : top + side, left : left + side] = cell[: size - top, : size - left]
    return to_bytes(out)


def _shapes(size: int, random: Random) -> Pixels:
    """Polygons, ellipses and lines, with smooth edges or sharp ones."""
    scale = int(random.choice([1, 2, 3]))
    background = _colour(random)
    image = Image.new("RGB", (scale * size, scale * size), background)
    pen = ImageDraw.Draw(image)
    for _ in range(random.integers(3, 25)):
        colour = _other(background, random)
        x, y = random.uniform(-0.1, 1.1, 2) * scale * size
        w, h = random.exponential(0.2, 2) * scale * size
        kind = random.integers(4)
        if kind == 0:
            pen.ellipse((x, y, x + w, y + h), fill=colour)
        elif kind == 1:
            pen.rectangle((x, y, x + w, y + h), fill=colour)
        elif kind == 2:
            points = random.uniform(-0.1, 1.1, (random.integers(3, 6), 2)) * scale * size
            pen.polygon([(float(a), float(b)) for a, b in points], fill=colour)
        else:
            ends = random.uniform(-0.1, 1.1, 4) * scale * size
            pen.line([float(v) for v in ends], fill=colour, width=int(random.integers(1, 1 + 3 * scale)))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS) if scale > 1 else image)


def _stripes(size: int, random: Random) -> Pixels:
    """Bars, a chequerboard or waves of two colours, with periods of 2 to 16 pixels; waves may become finer."""
    first = _colour(random)
    colours = np.array([first, _other(first, random)], np.float32)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    kind, period = random.random(), random.choice([2, 2, 3, 3, 4, 5, 6, 8, 12, 16])
    along = x if random.random() < 0.5 else y
    if kind < 0.4:
        share = (along % period < period / 2).astype(np.float32)
    elif kind < 0.6:
        share = ((x // (period / 2) + y // (period / 2)) % 2).astype(np.float32)
    else:
        angle, chirp = random.uniform(0, 2 * np.pi), random.uniform(0, 0.02)
        along = np.cos(angle) * x + np.sin(angle) * y
        share = 0.5 + 0.5 * np.sin(2 * np.pi * along / period + chirp * along**2).astype(np.float32)
    out = colours[0] + share[..., None] * (colours[1] - colours[0])
    return to_bytes(out)


def _points(size: int, random: Random) -> Pixels:
    """Points, small spots and thin lines of any contrast on a smooth ground: stars, specks, strands."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    ground = np.array(_colour(random), np.float32) * random.choice([0.1, 0.3, 1])
    out = ground + random.normal(0, 15, 3) * x[..., None] + random.normal(0, 15, 3) * y[..., None]
    for _ in range(random.integers(5, 80)):
        row, column = random.integers(0, size, 2)
        contrast = random.choice([-1, 1, 1]) * random.choice([12, 24, 48, 96, 200])
        tint = contrast * random.uniform(0.5, 1, 3)
        radius = random.choice([0, 0, 0, 0.5, 0.8, 1.2])
        if random.random() < 0.1:
            thin = Image.new("L", (size, size))
            ends = [float(column), float(row), *random.uniform(0, size, 2).tolist()]
            ImageDraw.Draw(thin).line(ends, fill=255)
            out += np.asarray(thin, np.float32)[..., None] / 255 * tint
        elif radius:
            spot = np.exp(-((y * size - row) ** 2 + (x * size - column) ** 2) / (2 * radius**2))
            out += spot[..., None] * tint
        else:
            out[row, column] += tint
    if random.random() < 0.4:
        out += random.normal(0, random.choice([0.5, 1, 2]), (size, size, 3))
    return to_bytes(out)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _text(size: int, random: Random) -> Pixels:
    """Lines of letters as on screens: dark or light, in any colours, sharp, smooth or rendered by subpixels."""
    background = _colour(random) if random.random() < 0.5 else _colour_of_paper(random)
    image = Image.new("RGB", (size, size), background)
    _write(image, (0, 0, size, size), background, random)
    return np.asarray(image)


def _colour_of_paper(random: Random) -> Colour:
    """A light or dark grey, as text stands on."""
    light = random.random() < 0.6
    value = int(random.integers(225, 256) if light else random.integers(0, 50))
    return value, value, value


def _write(image: Image.Image, box: tuple[int, int, int, int], background: Colour, random: Random) -> None:
    """Fills a box with lines of text."""
    left, top, right, bottom = box
    height, fine = int(random.choice(TEXT_SIZES)), 3 if random.random() < 0.3 else 1
    width, depth = right - left, bottom - top
    mask = Image.new("L", (fine * width, fine * depth))
    pen = ImageDraw.Draw(mask)
    if random.random() < 0.2:
        pen.fontmode = "1"
    for line in range(int(random.integers(-height, 2)), depth, int(height * random.uniform(1.1, 1.8)) + 1):
        letters = "".join(random.choice(list(LETTERS), int(random.integers(2, 4 + 3 * width // height))))
        pen.text((fine * int(random.integers(-8, 8)), fine * line), letters, fill=255, font=_font(fine * height))
    if fine > 1:  # subpixels: a third of a pixel's width for each of red, green and blue
        thirds = np.asarray(mask.resize((3 * width, depth), Image.Resampling.BOX), np.float32)
        thirds = thirds.reshape(depth, width, 3)
    else:
        thirds = np.repeat(np.asarray(mask, np.float32)[..., None], 3, axis=2)
    ink = np.array(_other(background, random) if random.random() < 0.5 else _colour(random), np.float32)
    ground = np.asarray(image.crop(box), np.float32)
    mixed = ground + thirds / 255 * (ink - ground)
    image.paste(Image.fromarray(mixed.round().astype(np.uint8)), (left, top))


def _screen(size: int, random: Random) -> Pixels:
    """Panels over each other, with borders, round corners and lines of text, as of a graphical interface."""
    background = _colour_of_paper(random)
    image = Image.new("RGB", (size, size), background)
    pen = ImageDraw.Draw(image)
    for _ in range(random.integers(2, 7)):
        left, top = (int(v) for v in random.integers(-size // 4, size, 2))
        width, height = (int(v) for v in random.integers(12, size, 2))
        colour = _colour_of_paper(random) if random.random() < 0.6 else _colour(random)
        border = _other(colour, random) if random.random() < 0.6 else None
        corner = int(random.choice([0, 0, 3, 6, 12]))
        pen.rounded_rectangle((left, top, left + width, top + height), corner, fill=colour, outline=border)
        box = max(left + 4, 0), max(top + 4, 0), min(left + width - 4, size), min(top + height - 4, size)
        if box[2] - box[0] > 12 and box[3] - box[1] > 10 and random.random() < 0.8:
            _write(image, box, colour, random)
    return np.asarray(image)


KINDS: tuple[Callable[[int, Random], Pixels], ...] = (_flats, _shapes, _stripes, _points, _text, _screen)
SHARES: npt.NDArray[np.float64] = np.array([0.25, 0.15, 0.1, 0.15, 0.15, 0.2])
"""The probability of each of KINDS."""
