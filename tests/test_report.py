"""The report of `cae rd-curve` in a real browser, and the slider by itself."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from click.testing import CliRunner
from PIL import Image

from cae.cli.main import main
from cae.codec.evaluation.blocks import BlockErrors
from cae.codec.evaluation.codecs import make_codec
from cae.codec.evaluation.equal_size import _frame
from cae.codec.evaluation.images import TestImage, open_images
from cae.codec.evaluation.measure import largest_within
from cae.codec.evaluation.slider import SCRIPT, STYLE, SliderImage, slider

Bytes = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report about a photograph whose name means something in HTML."""
    folder = tmp_path_factory.mktemp("report")
    pixels: Bytes = skimage.data.astronaut()[:256, 100:420]  # type: ignore[no-untyped-call]
    image, report = folder / "<b>&amp;.png", folder / "report.html"
    Image.fromarray(pixels).save(image)
    words = [
        "rd-curve",
        image,
        "--codecs",
        "jpeg,jxl,webp,cae",
        "--metrics",
        "psnr,ms-ssim",
        "--no-cache",
        "-o",
        report,
    ]
    run = CliRunner().invoke(main, [str(word) for word in words])
    assert run.exit_code == 0, run.output
    return report


def open_page(browser: Any, page: Path, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())


def clip(browser: Any) -> float:
    """How much of the left picture is cut off, in percent of the stage."""
    style = browser.execute_script("return document.querySelector('[data-layer=left]').style.clipPath")
    found = re.fullmatch(r"inset\((?:0px|0) ([\d.]+)% (?:0px|0) (?:0px|0)\)", style)
    assert found, style
    return float(found[1])


class Loads(HTMLParser):
    """Collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]


@pytest.mark.slow
def test_the_page_loads_nothing(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    loads = Loads()
    loads.feed(text)
    assert len(loads.found) >= 5
    assert all(value.startswith("data:") for value in loads.found)
    assert "<b>&amp;" not in text  # the name of the image, escaped wherever it stands
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest|import\(", text)
    left = re.sub(r"base64,[A-Za-z0-9+/=]*|http://www\.w3\.org/2000/svg", "", text)
    assert "http" not in left


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(browser: Any, page: Path, width: int) -> None:
    from selenium.webdriver import ActionChains, Keys
    from selenium.webdriver.common.by import By

    open_page(browser, page, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return document.querySelectorAll('#chart circle').length") > 3 * 8
    assert len(browser.find_elements(By.CSS_SELECTOR, "#legend button")) == 4

    # The slider, by mouse and by keys.
    stage = browser.find_element(By.CSS_SELECTOR, ".slider-stage")
    handle = browser.find_element(By.CSS_SELECTOR, ".slider-handle")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    assert clip(browser) == 50
    distance = stage.size["width"] // 4
    ActionChains(browser).drag_and_drop_by_offset(handle, distance, 0).perform()
    assert clip(browser) == pytest.approx(25, abs=1)
    handle.send_keys(Keys.HOME)
    assert clip(browser) == 100
    handle.send_keys(Keys.ARROW_RIGHT)
    assert clip(browser) == 98

    # Both pictures are loaded and lie one over the other; the zoom keeps them so.
    for button in browser.find_elements(By.CSS_SELECTOR, "[data-zoom]"):
        button.click()
        places = browser.execute_script(
            "return [...document.querySelectorAll('.slider-layer img')].map((image) => "
            "[image.style.transform, image.naturalWidth, image.naturalHeight].join())"
        )
        assert len(set(places)) == 1
        assert places[0].endswith(",320,256")
    moved = browser.execute_script("return document.querySelector('.slider-layer img').style.transform")
    ActionChains(browser).move_to_element(stage).click_and_hold().move_by_offset(-30, -20).release().perform()
    assert browser.execute_script("return document.querySelector('.slider-layer img').style.transform") != moved
    assert clip(browser) == 98

    # What is shown can be chosen; its bytes stand beside it.
    chooser = browser.find_element(By.CSS_SELECTOR, "select[data-side=left]")
    before = browser.execute_script("return document.querySelector('[data-layer=left] img').src")
    chooser.send_keys("original")
    assert browser.execute_script("return document.querySelector('[data-layer=left] img').src") != before
    assert "bytes" in browser.find_element(By.CSS_SELECTOR, "[data-note=right]").text

    # The right picture's worst block has a frame, the original none.
    assert browser.execute_script("return [...document.querySelectorAll('.slider-frame')].map((f) => f.hidden)") == [
        True,
        False,
    ]
    assert re.match(r"x \d+, y \d+: ", browser.find_element(By.CSS_SELECTOR, "[data-frame-note=right]").text)
    assert len(browser.find_elements(By.CSS_SELECTOR, "details tbody tr")) == 4 * 8 + 4  # worst blocks, and files

    # The chart: a tip under the pointer, another metric, a curve less.
    chart = browser.find_element(By.ID, "chart")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    circle = browser.find_elements(By.CSS_SELECTOR, "#chart circle")[9]
    ActionChains(browser).move_to_element(circle).perform()
    tip = browser.find_element(By.ID, "tip").text
    assert "bpp" in tip
    assert "worst block" in tip
    label = "return document.querySelector('#chart svg').getAttribute('aria-label')"
    assert browser.execute_script(label) == "rate against PSNR (RGB), dB"
    browser.find_elements(By.CSS_SELECTOR, "#metrics button")[1].click()
    assert browser.execute_script(label) == "rate against MS-SSIM, dB"
    count = browser.execute_script("return document.querySelectorAll('#chart circle').length")
    browser.find_elements(By.CSS_SELECTOR, "#legend button")[0].click()
    assert browser.execute_script("return document.querySelectorAll('#chart circle').length") == count - 8
    browser.execute_script(
        "const s = document.getElementById('image'); s.selectedIndex = 1; s.dispatchEvent(new Event('change'))"
    )
    assert browser.get_log("browser") == []


def test_a_slider_of_anything(browser: Any, tmp_path: Path) -> None:
    """Two sliders on a page that has nothing else."""
    values = {"a": 0, "b": 99, "c": 200}
    pictures = [SliderImage.lossless(name, "", np.full((20, 30, 3), value, np.uint8)) for name, value in values.items()]
    parts = slider(pictures, 30, 20) + slider(pictures, 30, 20, left=2, right=0)
    head = f"<!doctype html><meta charset=utf-8><link rel=icon href='data:,'><style>{STYLE}</style>"
    page = tmp_path / "page.html"
    page.write_text(f"{head}{parts}<script>{SCRIPT}</script>", encoding="utf-8")
    open_page(browser, page, 600)
    shown = "return [...document.querySelectorAll('.slider-layer img')].map((image) => image.alt)"
    assert browser.execute_script(shown) == ["b", "a", "a", "c"]
    assert browser.get_log("browser") == []
    with pytest.raises(ValueError, match="two pictures"):
        slider(pictures[:1], 30, 20)


def test_a_frame_only_where_the_block_is_shown(tmp_path: Path) -> None:
    """Of a large image a piece of the middle is shown: 800 rows and 1310 columns of 1000 by 1638."""
    image = TestImage("large.png", tmp_path, 1638, 1000, "")
    piece = (100, 164, 800, 1310)
    for x, y, expected in (
        (160, 96, (-4, -4, 16, 16)),  # its corner is seen
        (144, 96, None),
        (800, 496, (636, 396, 16, 16)),
        (1632, 496, None),
        (800, 992, None),
    ):
        frame = _frame(BlockErrors(5, x, y, 25, 2), image, piece)
        assert (frame and frame[:4]) == expected
        assert frame is None or frame.note.startswith(f"x {x}, y {y}: ")
    assert _frame(None, image, piece) is None


def test_equal_size_is_the_largest_that_fits(tmp_path: Path, photo: Bytes) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    (image,), _ = open_images([path])
    jpeg = make_codec("jpeg")
    for target in (1500, 4000):
        quality, data = largest_within(image, "jpeg", target, None, 1)
        assert data == jpeg.encode(photo, quality)
        assert len(data) <= target < len(jpeg.encode(photo, quality + 1))
    quality, data = largest_within(image, "jpeg", 10, None, 1)  # none fits: the smallest there is
    assert (quality, data) == (1, jpeg.encode(photo, 1))
    assert largest_within(image, "jpeg", 10**7, None, 1)[0] == 100
