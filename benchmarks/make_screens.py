"""Pictures of mixed content: the pages of benchmarks/screens/ as a browser shows them, plots by matplotlib, drawings.

    python benchmarks/make_screens.py OUT --photographs FOLDER

Writes PNG files of about 1280x1000 pixels into OUT/screens and, those with photographs among them, OUT/mixed. It takes
Chromium and fonts, whose versions decide the pixels: compare codecs on files of one machine.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

PAGES = Path(__file__).parent / "screens"
MIXED = ("desktop", "news", "shop", "slide")
SIZE = (1280, 1000)
WORDS = ("of", "light", "and", "water", "the", "bridge", "stands", "over", "a", "valley", "where", "trains", "ran")


def page(name: str, photographs: list[Path], output: Path) -> None:
    """Renders a page; photographs: its photo-0.png to photo-5.png."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise click.ClickException("there is no Chromium")
    with tempfile.TemporaryDirectory() as folder:
        for path in PAGES.iterdir():
            shutil.copy(path, folder)
        for index, path in enumerate(photographs):
            with Image.open(path) as image:
                image.convert("RGB").save(Path(folder) / f"photo-{index}.png")
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        ]
        flags += [
            f"--window-size={SIZE[0]},{SIZE[1]}",
            f"--screenshot={folder}/shot.png",
            f"file://{folder}/{name}.html",
        ]
        subprocess.run([browser, *flags], check=True, capture_output=True, timeout=120)
        with Image.open(f"{folder}/shot.png") as shot:
            shot.convert("RGB").save(output)


def plot(output: Path) -> None:
    """Curves, bars, a legend, a grid."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    random = np.random.default_rng(1)
    figure, axes = pyplot.subplots(2, 2, figsize=(12.8, 10), dpi=100)
    x = np.linspace(0, 10, 300)
    for shift in range(6):
        axes[0, 0].plot(x, np.sin(x + shift) * np.exp(-x / (5 + shift)), label=f"series {shift}")
    axes[0, 0].legend()
    axes[0, 0].grid()
    axes[0, 1].bar(range(20), random.uniform(1, 9, 20), color="tab:orange")
    axes[1, 0].scatter(random.normal(size=400), random.normal(size=400), c=random.uniform(size=400), s=18, alpha=0.7)
    axes[1, 1].hist(random.normal(size=4000), bins=50)
    for axis in axes.flat:
        axis.set_title("a figure of four")
        axis.set_xlabel("time, seconds")
    figure.savefig(output)


def heat(output: Path) -> None:
    """A field in colours with a bar, contours, numbers on them."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    y, x = np.mgrid[-3:3:200j, -3:3:200j]
    field = np.sin(2 * x) * np.cos(y) + x * y / 5
    figure, axes = pyplot.subplots(1, 2, figsize=(12.8, 10), dpi=100)
    figure.colorbar(axes[0].imshow(field, cmap="viridis", interpolation="bicubic"), ax=axes[0])
    axes[1].clabel(axes[1].contour(x, y, field, 16))
    axes[0].set_title("field")
    axes[1].set_title("contours")
    figure.savefig(output)


def sprites(output: Path) -> None:
    """Pixel art: figures of 16x16 points of few colours, some enlarged, on tiles."""
    random = np.random.default_rng(2)
    palette = random.integers(0, 256, (24, 3), np.uint8)
    picture = np.empty((1000 // 40 * 40, SIZE[0], 3), np.uint8)
    ground = palette[random.integers(0, 3, (6, 20, 20))]
    for top, left in np.ndindex(picture.shape[0] // 40, SIZE[0] // 40):
        picture[40 * top : 40 * top + 40, 40 * left : 40 * left + 40] = (
            ground[random.integers(6)].repeat(2, 0).repeat(2, 1)
        )
    for _ in range(70):
        half = random.integers(0, 5, (16, 8))
        points = np.concatenate([half, half[:, ::-1]], axis=1)
        scale = int(random.choice([1, 2, 4, 6]))
        colours = palette[random.choice(24, 5)][points].repeat(scale, 0).repeat(scale, 1)
        shown = (points > 0).repeat(scale, 0).repeat(scale, 1)
        row, column = (int(random.integers(0, size - 16 * scale)) for size in picture.shape[:2])
        picture[row : row + 16 * scale, column : column + 16 * scale][shown] = colours[shown]
    Image.fromarray(picture).save(output)


def scan(output: Path) -> None:
    """A printed page as a scanner sees it: soft letters, paper that is not white, noise."""
    random = np.random.default_rng(3)
    image = Image.new("L", (1000, 1300), 236)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(22)
    for line in range(40):
        pen.text((80, 60 + 30 * line), " ".join(random.choice(WORDS, 13)), 40, font)
    soft = np.asarray(image.rotate(0.6, Image.Resampling.BICUBIC, fillcolor=236).filter(ImageFilter.GaussianBlur(0.8)))
    shade = 8 * np.sin(np.linspace(0, 3, 1000))[None]
    noisy = soft[..., None] + shade[..., None] + random.normal(0, 3, (1300, 1000, 1)) + np.array([2, 0, -6])
    Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8)).save(output)


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--photographs", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
def main(out: Path, photographs: Path) -> None:
    """Writes all of them. PHOTOGRAPHS: a folder with at least six, of which the first are taken."""
    found = sorted(path for path in photographs.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg"))[:6]
    if len(found) < 6:
        raise click.ClickException(f"{photographs}: {len(found)} photographs, six are needed")
    for kind in ("screens", "mixed"):
        (out / kind).mkdir(parents=True, exist_ok=True)
    for path in sorted(PAGES.glob("*.html")):
        page(path.stem, found, out / ("mixed" if path.stem in MIXED else "screens") / f"{path.stem}.png")
    for draw in (plot, heat, sprites, scan):
        draw(out / "screens" / f"{draw.__name__}.png")


if __name__ == "__main__":
    main()
