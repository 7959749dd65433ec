"""`cae rd-curve --group`: kinds of images apart, in text, JSON, CSV, plot and report."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from cae.bitstream.errors import InputError
from cae.cli.columns import WIDTH
from cae.codec.evaluation.images import find_images, open_images

Run = Callable[..., "CompletedProcess[str]"]
Bytes = npt.NDArray[np.uint8]
FAST = ("--codecs", "jpeg,webp", "--metrics", "psnr", "--at", "psnr=31")


@pytest.fixture
def folder(tmp_path: Path, photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs and a screen in folders of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    screen = np.kron(np.random.default_rng(0).integers(0, 2, (15, 25, 1), np.uint8) * 255, np.ones((8, 8, 3), np.uint8))
    for name, pixels in (
        ("photo<i>/a.png", photo),
        ("photo<i>/b.png", photo[:, 50:130]),
        ("screens/a.png", np.uint8(0.9 * screen) + photo // 20),
        ("screens/.thumbnails/a.png", photo),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    (folder / "notes").mkdir()
    (folder / "notes" / "about.txt").write_text("no image")
    return folder


def tables(text: str) -> list[str]:
    """The lines of all tables, without what is said before the first."""
    lines = text.splitlines()
    return lines[lines.index("jpeg") :]


def test_each_group_has_its_own_tables(cae: Run, folder: Path) -> None:
    run = cae("rd-curve", folder, "--group", *FAST)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("3 images in 2 groups. Every image counts the same")
    lines = run.stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH
    first, second = lines.index("photo<i>: 2 images, 200x120 and 80x120"), lines.index("screens: 1 image, 200x120")
    assert lines[first + 1] == "=" * len(lines[first])
    # Just what each folder gives by itself, times included, which are those of the cache.
    for start, end, name in ((first, second - 1, "photo<i>"), (second, len(lines), "screens")):
        alone = cae("rd-curve", folder / name, *FAST)
        own = "\n".join(lines[start:end])
        shown = tables(own.replace("photo<i>/", "").replace("screens/", ""))
        assert [" ".join(line.split()) for line in shown] == [" ".join(line.split()) for line in tables(alone.stdout)]


def test_json_and_csv(cae: Run, folder: Path, tmp_path: Path) -> None:
    values, table, plot = tmp_path / "values.json", tmp_path / "points.csv", tmp_path / "rd.png"
    run = cae("rd-curve", folder, "--group", *FAST, "--json", values, "--csv", table, "--plot", plot, "--quiet")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    facts = json.loads(values.read_text())
    assert not {"images", "means", "deltas", "points", "at"} & facts.keys()
    assert [group["group"] for group in facts["groups"]] == ["photo<i>", "screens"]
    photos, screens = facts["groups"]
    assert [image["name"] for image in photos["images"]] == ["photo<i>/a.png", "b.png"]
    assert [image["name"] for image in screens["images"]] == ["screens/a.png"]
    assert (len(photos["points"]), len(screens["points"])) == (2 * 2 * 8, 2 * 8)
    for group in facts["groups"]:
        for mean in group["means"]:
            own = [p for p in group["points"] if (p["codec"], p["quality"]) == (mean["codec"], mean["quality"])]
            assert mean["bpp"] == pytest.approx(np.mean([point["bpp"] for point in own]))
        assert {entry["image"] for entry in group["at"][0]["images"]} == {image["name"] for image in group["images"]}
    assert photos["deltas"] != screens["deltas"]
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [row["group"] for row in rows] == ["photo<i>"] * 32 + ["screens"] * 16
    with Image.open(plot) as image:
        assert image.height > 900  # two rows of panels


def test_where_the_images_are_is_their_group(folder: Path, photo: Bytes) -> None:
    Image.fromarray(photo).save(folder / "top.png")
    images, failures = open_images(find_images([folder], deep=True), grouped=True)
    assert failures == []
    assert [(image.group, image.name) for image in images] == [
        ("set", "top.png"),
        ("photo<i>", "photo<i>/a.png"),
        ("photo<i>", "b.png"),
        ("screens", "screens/a.png"),
    ]
    files = [folder / "screens/a.png", folder / "photo<i>/b.png", folder / "screens/../screens/a.png"]
    images, _ = open_images(find_images(files, deep=True), grouped=True)
    assert [(image.group, image.name) for image in images] == [("screens", "a.png"), ("photo<i>", "b.png")]
    # Groups stay together, whatever the order.
    files.append(folder / "top.png")
    Image.fromarray(photo).save(folder / "screens" / "z.png")
    images, _ = open_images([*files, folder / "screens/z.png"], grouped=True)
    assert [image.group for image in images] == ["screens", "screens", "photo<i>", "set"]


def test_groups_of_one_name_are_told_apart(tmp_path: Path, photo: Bytes) -> None:
    for name in ("old/screens", "new/screens"):
        (tmp_path / name).mkdir(parents=True)
        Image.fromarray(photo).save(tmp_path / name / "a.png")
    images, _ = open_images(find_images([tmp_path / "old", tmp_path / "new"], deep=True), grouped=True)
    assert [Path(image.group).parts for image in images] == [("old", "screens"), ("new", "screens")]


def test_links_belong_where_they_are(tmp_path: Path, folder: Path) -> None:
    links = tmp_path / "chosen"
    links.mkdir()
    (links / "mine.png").symlink_to(folder / "photo<i>" / "a.png")
    images, _ = open_images(find_images([links], deep=True), grouped=True)
    assert [(image.group, image.name) for image in images] == [("chosen", "mine.png")]


def test_without_the_option_sub_folders_are_not_looked_into(cae: Run, folder: Path, photo: Bytes) -> None:
    with pytest.raises(InputError, match="a folder without images"):
        find_images([folder])
    assert cae("rd-curve", folder, *FAST).returncode == 2
    Image.fromarray(photo).save(folder / "top.png")
    assert cae("rd-curve", folder, *FAST).stdout.startswith("1 image, 200x120. ")


def test_wrong_usage(cae: Run, folder: Path) -> None:
    for arguments, words in (
        (["--group"], "--group takes images of your own"),
        ([folder, "--group", "--anchors", "kodak"], "no --anchors"),
        ([folder / "notes", "--group"], "a folder without images"),
        ([folder / "screens", "--group", "--show", "b.png"], "no image of that name"),
    ):
        run = cae("rd-curve", *arguments)
        assert (run.returncode, run.stdout) == (2, "")
        assert words in run.stderr
        assert "Traceback" not in run.stderr


def test_the_report(cae: Run, browser: Any, folder: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.select import Select

    report = tmp_path / "report.html"
    assert cae("rd-curve", folder, "--group", *FAST, "-o", report).returncode == 0
    assert "photo<i>" not in report.read_text(encoding="utf-8")
    browser.get(report.as_uri())
    titles = [title.text for title in browser.find_elements(By.CSS_SELECTOR, "h2")]
    assert titles == [
        *("At equal quality: photo<i>", "Codecs: photo<i>", "At equal quality: screens", "Codecs: screens"),
        "At equal file size",
    ]
    samples = [title.text for title in browser.find_elements(By.CSS_SELECTOR, ".comparison h3")]
    assert samples == ["photo<i>: b.png at 0.5 bits per pixel", "screens: screens/a.png at 0.5 bits per pixel"]
    groups = browser.find_elements(By.CSS_SELECTOR, "#image optgroup")
    assert [group.get_attribute("label") for group in groups] == ["photo<i>", "screens"]
    choice = Select(browser.find_element(By.ID, "image"))
    shown = [option.get_attribute("textContent") for option in choice.options]
    assert shown == ["mean of 2 photo<i>", "photo<i>/a.png", "b.png", "mean of 1 screens", "screens/a.png"]
    drawn = set()
    for index in range(len(shown)):
        choice.select_by_index(index)
        path = "return [...document.querySelectorAll('#chart path')].map((path) => path.getAttribute('d')).join()"
        drawn.add(browser.execute_script(path))
        assert browser.execute_script("return document.querySelectorAll('#chart circle').length") == 2 * 8 + 1
    assert len(drawn) == 4  # of a group of one image the mean is the image
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
