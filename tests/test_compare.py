"""`cae compare`: the table, the page in a real browser, and what cannot be compared."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cae as api
from cae.codec.model.distortion import psnr

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def versions(tmp_path: Path, photo_png: Path, photo: np.ndarray) -> list[Path]:
    """The photograph as a .cae file in colour, as one in grey, and as a JPEG."""
    colour, grey, jpeg = (tmp_path / name for name in ("colour.cae", "grey.cae", "<i>.jpg"))
    colour.write_bytes(api.encode(photo_png, 40))
    Image.fromarray(photo).save(jpeg, quality=20)
    grey.write_bytes(api.encode(Image.fromarray(photo).convert("L"), 40))
    return [colour, grey, jpeg]


def test_the_table(cae: Run, photo_png: Path, photo: np.ndarray, versions: list[Path]) -> None:
    result = cae("compare", photo_png, *versions)
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    files = ["colour.cae", "grey.cae", "<i>.jpg"]
    assert [line[0] for line in lines if line] == ["file", "photo.png", *files, "worst", *files]
    assert lines[0][3] == "PSNR"
    expected = psnr(photo, np.asarray(api.decode(versions[0].read_bytes())))
    assert float(lines[2][3]) == pytest.approx(expected, abs=0.006)
    assert int(lines[2][1].replace(",", "")) == versions[0].stat().st_size


def broken(photo: np.ndarray, x: int, y: int) -> np.ndarray:
    """The photograph with a light noise, and a block of 16x16 pixels the wrong way round."""
    pixels = photo ^ np.random.default_rng(2).integers(0, 2, photo.shape, np.uint8)
    pixels[y : y + 16, x : x + 16] = 255 - pixels[y : y + 16, x : x + 16]
    return pixels


def test_the_worst_block_is_said(cae: Run, tmp_path: Path, photo_png: Path, photo: np.ndarray) -> None:
    name = "a photograph with a block the wrong way round.png"
    pixels = broken(photo, 64, 96)
    Image.fromarray(pixels).save(tmp_path / name)
    result = cae("compare", photo_png, tmp_path / name, photo_png)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    head, worst, equal = lines[-3:]
    assert head.split() == ["worst", "block", "of", "x", "y", "PSNR", "error,", "times", "the", "picture's"]
    squares = np.square(photo.astype(float) - pixels)
    error, mean = squares[96:112, 64:80].mean(), squares.mean()
    x, y, value, ratio = worst[32:].split()[-4:]
    assert worst.startswith("a photograph wit…g way round.png  ")
    assert (x, y, float(value)) == ("64", "96", pytest.approx(10 * np.log10(255**2 / error), abs=0.006))
    assert float(ratio) == pytest.approx(error / mean, abs=0.06)
    assert equal.split() == ["photo.png", "-", "-", "-", "none"]


def test_what_nobody_sees_is_not_counted(cae: Run, tmp_path: Path, photo: np.ndarray) -> None:
    """Noise under transparent pixels, which encoding replaces; half transparent ones count by what is seen of them."""
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[:, 60:120], alpha[:, 120:] = 128, 0
    noise = np.random.default_rng(0).integers(0, 256, photo.shape, np.uint8)
    original, coded, opaque = (tmp_path / name for name in ("original.png", "coded.cae", "opaque.png"))
    Image.fromarray(np.dstack([np.where(alpha[..., None] > 0, photo, noise), alpha])).save(original)
    coded.write_bytes(api.encode(original, 60))
    white = Image.new("RGBA", (200, 120), "white")
    with Image.open(original) as image:
        seen = Image.alpha_composite(white, image).convert("RGB")
    seen.save(opaque)
    result = cae("compare", original, coded, opaque)
    assert result.returncode == 0
    assert result.stderr.splitlines() == [f"cae: {path}: transparent, measured on white" for path in (original, coded)]
    values = [float(line.split()[3]) for line in result.stdout.splitlines()[2:4]]
    decoded = Image.alpha_composite(white, api.decode(coded.read_bytes())).convert("RGB")
    assert values[0] == pytest.approx(psnr(np.asarray(seen), np.asarray(decoded)), abs=0.1)
    assert values[0] > 32
    assert values[1] > 60  # but for how Pillow rounds


def test_opaque_alpha_says_nothing(cae: Run, photo_png: Path, tmp_path: Path) -> None:
    with Image.open(photo_png) as image:
        image.convert("RGBA").save(tmp_path / "a.png")
    result = cae("compare", photo_png, tmp_path / "a.png")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[2].split()[3] == "inf"


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_names_that_are_not_text(cae: Run, photo_png: Path, tmp_path: Path) -> None:
    original, page = photo_png.rename(tmp_path / os.fsdecode(b"caf\xe9.png")), tmp_path / "page.html"
    result = cae("compare", original, original, "--html", page)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("caf\\udce9.png") == 3
    assert "caf\\udce9.png" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page(cae: Run, browser: Any, tmp_path: Path, photo_png: Path, versions: list[Path], width: int) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.select import Select

    page = tmp_path / "page.html"
    assert cae("compare", photo_png, *versions, "--html", page).returncode == 0
    text = page.read_text(encoding="utf-8")
    assert "&lt;i&gt;.jpg" in text
    assert "<i>.jpg" not in text
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    right = Select(browser.find_elements(By.CSS_SELECTOR, "select")[1])
    labels = [option.text for option in right.options]
    assert labels == [
        "photo.png",
        *("colour.cae", "grey.cae", "<i>.jpg"),
        *("difference of colour.cae", "bits of colour.cae", "difference of grey.cae", "bits of grey.cae"),
        "difference of <i>.jpg",
    ]
    for index in range(len(labels)):
        right.select_by_index(index)
        image = "document.querySelector('[data-layer=right] img')"
        assert browser.execute_async_script(f"{image}.decode().then(() => arguments[0](true))")
        assert browser.execute_script(f"return {image}.naturalWidth") == 200
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_frames_around_the_worst_blocks(
    cae: Run, browser: Any, tmp_path: Path, photo_png: Path, photo: np.ndarray, width: int
) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.select import Select

    page = tmp_path / "page.html"
    for name, x, y in (("left.png", 32, 16), ("right.png", 192, 112)):  # the latter cut by both edges, 8x8 pixels
        Image.fromarray(broken(photo, x, y)).save(tmp_path / name)
    files = [tmp_path / name for name in ("left.png", "right.png")]
    assert cae("compare", photo_png, *files, "--html", page).returncode == 0
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())
    left, right = (Select(side) for side in browser.find_elements(By.CSS_SELECTOR, "select"))

    def frames() -> list[tuple[float, float, float] | None]:
        """Middle and width of each frame, in pixels of the picture."""
        return [
            place and tuple(place)
            for place in browser.execute_script(
                """const box = document.querySelector('[data-layer=right] img').getBoundingClientRect();
                const scale = box.width / 200;
                return [...document.querySelectorAll('.slider-frame')].map((frame) => {
                  const own = frame.getBoundingClientRect();
                  return frame.hidden ? null : [(own.left + own.width / 2 - box.left) / scale,
                    (own.top + own.height / 2 - box.top) / scale, own.width / scale];
                });"""
            )
        ]

    def notes() -> list[str]:
        return [note.text for note in browser.find_elements(By.CSS_SELECTOR, ".slider-frame-note")]

    left.select_by_visible_text("photo.png")
    right.select_by_visible_text("right.png")
    none, own = frames()
    assert none is None  # the original has no worst block
    assert own is not None
    assert own[:2] == pytest.approx((196, 116), abs=0.6)
    assert notes()[0] == ""
    assert notes()[1].startswith("x 192, y 112: ")
    left.select_by_visible_text("difference of left.png")
    both = frames()
    assert both[0] is not None
    assert both[0][:2] == pytest.approx((40, 24), abs=0.6)
    assert both[0][2] >= 16
    browser.find_element(By.CSS_SELECTOR, "[data-zoom='4']").click()
    assert [frame and frame[:2] for frame in frames()] == [
        pytest.approx((40, 24), abs=0.6),
        pytest.approx((196, 116), abs=0.6),
    ]
    switch = browser.find_element(By.CSS_SELECTOR, ".slider-frames input")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", switch)
    switch.click()
    assert frames() == [None, None]
    switch.click()
    assert None not in frames()
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_what_cannot_be_compared(cae: Run, tmp_path: Path, photo_png: Path, versions: list[Path]) -> None:
    small = tmp_path / "small.png"
    Image.new("RGB", (10, 10)).save(small)
    damaged = tmp_path / "damaged.cae"
    damaged.write_bytes(versions[0].read_bytes()[:-5])
    other = versions[0].rename(tmp_path / "other.bin")
    damaged_other = tmp_path / "damaged.bin"
    damaged_other.write_bytes(damaged.read_bytes())
    text = tmp_path / "text.png"
    text.write_text("no image")
    (tmp_path / "text.cae").write_text("no image")
    for words, code, message in (
        ((photo_png, small), 2, "small.png has 10x10 pixels, photo.png 200x120"),
        ((photo_png, damaged), 4, "damaged.cae"),
        ((photo_png, damaged_other), 4, "damaged.bin"),
        ((photo_png, tmp_path / "none.cae"), 4, "none.cae: No such file"),
        ((photo_png, tmp_path / "text.cae"), 4, "text.cae: not a .cae file"),
        ((tmp_path / "none.png", other), 3, "none.png: No such file"),
        ((text, other), 3, f"cae: {text}: not an image"),
        ((photo_png, other, "--html", tmp_path / "none" / "page.html"), 6, "no directory"),
        ((photo_png,), 2, "FILE"),
    ):
        result = cae("compare", *words)
        assert result.returncode == code, result.stderr
        assert message in result.stderr
    assert not list(tmp_path.rglob("*.html"))
