"""What latents are good for as data: classes learned from them, against the decoded pixels. Needs the extra `features`.

    python benchmarks/features.py [--photographs FOLDER]

Three tasks of pictures of 64x64 pixels that packages ship or that are drawn here: handwritten digits (scikit-learn),
patches of photographs and textures (scikit-image; trained on their left halves, tested on their right ones), and drawn
patterns. All are encoded to files at several qualities; a linear classifier and a small network learn from what is read
of these files. Then the time that reading takes, from the files to the arrays, on one thread.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import numpy.typing as npt
import skimage.data
import torch
from PIL import Image
from skimage.feature import hog
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import cae
from cae.codec.features import descriptor
from cae.codec.machine.threads import set_threads

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SIDE = 64
QUALITIES = (20, 50, 80)
NETWORK_QUALITY = 50
SEEDS = (0, 1, 2)
EPOCHS = 30
TEXTURES = (
    *("astronaut", "brick", "camera", "cell", "chelsea", "clock", "coffee", "coins", "grass", "gravel"),
    *("hubble_deep_field", "immunohistochemistry", "moon", "page", "retina", "rocket", "text"),
)


class Task(NamedTuple):
    """Pictures, uint8 [n, 64, 64, 3], and their classes, [n], to train on and to test with."""

    name: str
    train: Pixels
    train_classes: npt.NDArray[np.int64]
    test: Pixels
    test_classes: npt.NDArray[np.int64]


def digits() -> Task:
    """scikit-learn's digits of 8x8 pixels, made larger; the last third are the test, whose writers are others."""
    found = load_digits()
    sides = (SIDE, SIDE)
    small = [Image.fromarray((15.9 * digit).astype(np.uint8)) for digit in found.images]
    pixels = np.stack([np.asarray(image.resize(sides, Image.Resampling.BICUBIC).convert("RGB")) for image in small])
    return Task("digits", pixels[:1200], found.target[:1200], pixels[1200:], found.target[1200:])


def textures(count: int = 60) -> Task:
    """Patches of the pictures of scikit-image, so many of each half of each; the class is which picture it is."""
    random = np.random.default_rng(0)
    parts: tuple[list[Pixels], list[Pixels]] = ([], [])
    for name in TEXTURES:
        pixels = getattr(skimage.data, name)()
        pixels = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        middle = pixels.shape[1] // 2
        for half, part in zip((pixels[:, :middle], pixels[:, middle:]), parts, strict=True):
            tops = random.integers(0, half.shape[0] - SIDE + 1, count)
            lefts = random.integers(0, half.shape[1] - SIDE + 1, count)
            part += [half[y : y + SIDE, x : x + SIDE] for y, x in zip(tops, lefts, strict=True)]
    classes = np.repeat(np.arange(len(TEXTURES)), count)
    return Task("textures", np.stack(parts[0]), classes, np.stack(parts[1]), classes)


def drawn(count: int = 60) -> Task:
    """Stripes in four directions, checks, rings, dots and noise, coarse and fine, in random colours and phases under
    noise."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[:SIDE, :SIDE]
    pictures, classes = [], []
    for kind in range(16):
        period = (5, 9)[kind % 2]
        for _ in range(2 * count):
            a, b = random.uniform(0, period, 2)
            turn, wave = (kind // 2) * np.pi / 4, 2 * np.pi / period
            waves = np.sin(wave * (x + a)), np.sin(wave * (y + b))
            plane = {
                4: waves[0] * waves[1],
                5: np.sin(wave * np.hypot(x - 8 * a, y - 8 * b)),
                6: np.minimum(*waves) * 2 - 1,
                7: random.normal(size=(SIDE // period + 1, SIDE // period + 1)).repeat(period, 0).repeat(period, 1),
            }.get(kind // 2, np.sin(wave * (np.cos(turn) * x + np.sin(turn) * y + a)))[:SIDE, :SIDE]
            colours = random.uniform(40, 216, (2, 3))
            shown = colours[0] + (colours[1] - colours[0]) * (plane[..., None] + 1) / 2
            pictures.append((shown + random.normal(0, 25, shown.shape)).clip(0, 255).astype(np.uint8))
            classes.append(kind)
    pixels, of = np.stack(pictures), np.array(classes)
    return Task("drawn", pixels[::2], of[::2], pixels[1::2], of[1::2])


def linear(features: Callable[[Any], Floats], train: Sequence[Any], test: Sequence[Any], task: Task) -> float:
    """The accuracy on the test of a linear classifier of features."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(np.stack([features(own) for own in train]), task.train_classes)
    return float(model.score(np.stack([features(own) for own in test]), task.test_classes))


class WithMagnitudes(nn.Module):
    """Adds the magnitudes of all channels as channels of their own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x.abs()], 1)


def head(classes: int) -> list[nn.Module]:
    """Means over quarters of 64 channels, and classes by them."""
    return [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 4, classes)]


def on_pixels(classes: int) -> nn.Module:
    """A network that takes pixels [B, 3, 64, 64]."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 64), (64, 64)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, *head(classes))


def on_latents(channels: int, classes: int) -> nn.Module:
    """A network that takes latents [B, C, 4, 4]."""
    layers = [nn.BatchNorm2d(channels), WithMagnitudes(), nn.Conv2d(2 * channels, 64, 1), nn.BatchNorm2d(64), nn.ReLU()]
    layers += [nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()]
    return nn.Sequential(*layers, *head(classes))


def planes(arrays: Sequence[npt.NDArray[Any]]) -> torch.Tensor:
    """Arrays [h, w, c] as float32 [n, c, h, w], those of bytes from 0 to 1."""
    stacked = np.stack(arrays)
    scaled = stacked / np.float32(255) if stacked.dtype == np.uint8 else stacked
    return torch.from_numpy(np.moveaxis(scaled, 3, 1).copy())


def trained(make: Callable[[], nn.Module], train: torch.Tensor, test: torch.Tensor, task: Task) -> tuple[float, float]:
    """The accuracy on the test of a network after training, a mean over SEEDS, and the seconds that training took."""
    accuracies, begin = [], time.perf_counter()
    target, expected = torch.from_numpy(task.train_classes).long(), torch.from_numpy(task.test_classes).long()
    for seed in SEEDS:
        torch.manual_seed(seed)
        model = make()
        optimiser = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.05)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=EPOCHS * -(-len(train) // 64))
        for _ in range(EPOCHS):
            for part in torch.randperm(len(train)).split(64):
                loss = nn.functional.cross_entropy(model(train[part]), target[part], label_smoothing=0.1)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                rates.step()
        model.eval()
        with torch.no_grad():
            accuracies.append(float((model(test).argmax(1) == expected).float().mean()))
    return statistics.mean(accuracies), (time.perf_counter() - begin) / len(SEEDS)


def learn(task: Task) -> None:
    """Prints accuracies of a task."""
    codec = cae.Codec("cpu")
    classes = int(task.test_classes.max()) + 1
    print(f"{task.name}: {classes} classes, {len(task.train)} to train on, {len(task.test)} to test with", flush=True)
    views: dict[str, Callable[[Any], Floats]] = {
        "pixels, all": lambda own: own.ravel() / np.float32(255),
        "pixels, HOG": lambda own: hog(own, 9, (8, 8), (2, 2), channel_axis=2),
    }
    for quality in QUALITIES:
        files = [codec.encode_many(list(part), quality, patches="off") for part in (task.train, task.test)]
        latents = [codec.latents_many(part) for part in files]
        pixels = [[np.asarray(image) for image in codec.decode_many(part)] for part in files]
        bits = statistics.mean(8 * len(data) / SIDE**2 for data in files[1])
        found = {"latents, pooled": linear(descriptor, latents[0], latents[1], task)}
        found["latents, all"] = linear(np.ravel, latents[0], latents[1], task)
        found |= {name: linear(view, pixels[0], pixels[1], task) for name, view in views.items()}
        print(
            f"  q {quality} ({bits:.2f} bpp), linear: " + ", ".join(f"{k} {v:.3f}" for k, v in found.items()),
            flush=True,
        )
        if quality == NETWORK_QUALITY:
            makers = {
                "latents": partial(on_latents, latents[0][0].shape[2], classes),
                "pixels": partial(on_pixels, classes),
            }
            for (name, make), arrays in zip(makers.items(), (latents, pixels), strict=True):
                accuracy, seconds = trained(make, planes(arrays[0]), planes(arrays[1]), task)
                print(f"  q {quality}, network on {name}: {accuracy:.3f}, trained in {seconds:.1f} s", flush=True)


def rates(name: str, pictures: Sequence[Pixels], networks: bool = False) -> None:
    """Prints how many pictures are read a second, from files to arrays or, with `networks`, to what the networks say of
    them: medians of five rounds in turns."""
    codec = cae.Codec("cpu")
    with tempfile.TemporaryDirectory() as folder:
        paths: dict[str, list[Path]] = {kind: [] for kind in ("cae", "png", "jpg")}
        for index, data in enumerate(codec.encode_many(list(pictures), NETWORK_QUALITY, patches="off")):
            for kind, own in paths.items():
                own.append(Path(folder) / f"{index}.{kind}")
            paths["cae"][-1].write_bytes(data)
            image = Image.fromarray(pictures[index])
            image.save(paths["png"][-1])
            image.save(paths["jpg"][-1], quality=75)
        latents, pixels = on_latents(codec.latents(paths["cae"][0]).shape[2], 10).eval(), on_pixels(10).eval()
        ways: dict[str, tuple[nn.Module, Callable[[], list[Any]]]] = {
            ".cae to latents": (latents, lambda: codec.latents_many(paths["cae"])),
            ".cae to pixels": (pixels, lambda: [np.asarray(image) for image in codec.decode_many(paths["cae"])]),
            "PNG to pixels": (pixels, lambda: [np.asarray(Image.open(path)) for path in paths["png"]]),
            "JPEG to pixels": (pixels, lambda: [np.asarray(Image.open(path)) for path in paths["jpg"]]),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(5):
            for way, (model, read) in ways.items():
                begin = time.perf_counter()
                arrays = read()
                if networks:
                    with torch.no_grad():
                        model(planes(arrays))
                times[way].append(time.perf_counter() - begin)
    words = [f"{way} {len(pictures) / statistics.median(own):.1f}" for way, own in times.items()]
    print(f"{name}{' and a network' if networks else ''}, pictures a second: " + ", ".join(words), flush=True)


@click.command()
@click.option(
    "--photographs", type=click.Path(exists=True, file_okay=False, path_type=Path), help="To time reading of."
)
def main(photographs: Path | None) -> None:
    """Measure accuracies and times."""
    set_threads(1)
    torch.set_num_threads(1)
    patches = textures()
    for networks in (False, True):
        rates(f"{SIDE}x{SIDE}", patches.test[::4], networks)
    if photographs:
        rates(
            photographs.name,
            [np.asarray(Image.open(path).convert("RGB")) for path in sorted(photographs.glob("*.png"))],
        )
    for task in (digits(), patches, drawn()):
        learn(task)


if __name__ == "__main__":
    main()
