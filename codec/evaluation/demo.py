"""Synthetic images, so that a measurement can be tried without any at hand. They say nothing about photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 384, 256


def write_demo(folder: Path) -> list[Path]:
    """Writes PNG files of 384x256 pixels to a folder: a gradient, text, a texture, noise, three of them together."""
    random = np.random.default_rng(0)
    images = {
        "gradient": _gradient(),
        "text": _text(),
        "texture": _texture(random),
        "noise": random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8),
    }
    left = np.hstack([images["gradient"][:, ::2], images["texture"][:, ::2]])
    images["mixed"] = np.where(images["text"].mean(axis=2, keepdims=True) < 128, images["text"], left).astype(np.uint8)
    paths = []
    for name, pixels in images.items():
        paths.append(folder / f"{name}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def _gradient() -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = [128 + 110 * np.sin(x / 90 + phase) * np.cos(y / 70 - phase) for phase in (0, 0.8, 1.9)]
    return np.stack(waves, axis=2).astype(np.uint8)


def _text() -> npt.NDArray[np.uint8]:
    image = Image.new("RGB", (WIDTH, HEIGHT), "#fafafa")
    draw = ImageDraw.Draw(image)
    for line in range(12):
        font = ImageFont.load_default(10 + line)
        colour = ("#101010", "#1f4e8c", "#8c1f1f")[line % 3]
        draw.text((12, 6 + 20 * line), "Sphinx of black quartz, judge my vow 0123456789", colour, font)
    return np.array(image)


def _texture(random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Noise at four scales, coarse ones strongest, as in photographs."""
    total = np.zeros((HEIGHT, WIDTH, 3))
    for radius in (1, 3, 9, 27):
        noise = Image.fromarray(random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
        layer = np.asarray(noise.filter(ImageFilter.GaussianBlur(radius)), np.float64) - 127.5
        total += layer / layer.std() * radius**0.5
    return np.clip(128 + 9 * total, 0, 255).astype(np.uint8)
