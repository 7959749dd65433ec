"""Codecs at equal quality: sizes and differences against values worked out by hand, in text, JSON and the report."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.interpolate import PchipInterpolator

from cae.bitstream.errors import InputError
from cae.cli.columns import WIDTH, columns, shorten
from cae.cli.rd_equal import equal_lines
from cae.codec.evaluation.equal import NO_CURVE, OUTSIDE, sizes, sizes_of_image, values_at
from cae.codec.evaluation.images import TestImage
from cae.codec.evaluation.measure import Measurement
from cae.codec.evaluation.metrics import decibels
from cae.codec.evaluation.summary import Summary
from cae.codec.evaluation.target import Target, check_target

Run = Callable[..., "CompletedProcess[str]"]
Bytes = npt.NDArray[np.uint8]

POINTS = {
    # codec: (bpp, PSNR, MS-SSIM) at each quality, on the image "even"; on "odd" everything takes twice the rate.
    "jpeg": ((0.25, 28, 0.9), (0.5, 31, 0.96), (1, 34, 0.99), (2, 37, 0.999)),
    "avif": ((0.2, 28, 0.9), (0.4, 31, 0.96), (0.8, 34, 0.99), (1.6, 37, 0.999)),
    "cae": ((0.1, 28, 0.9), (0.2, 31, 0.96), (0.4, 34, 0.99), (0.8, 33, 0.98)),
    "short": ((0.3, 28, 0.9), (0.6, 31, 0.96)),
}


def summary(*at: Target, reference: str = "avif", conclusive: bool = True) -> Summary:
    images = [TestImage(name, Path(name), 100, 80, "") for name in ("even", "odd")]
    measurements = [
        Measurement(image.name, codec, quality, 8000, round(1000 * bpp * factor), 0.1, 0.1, values, None)
        for image, factor in zip(images, (1, 2), strict=True)
        for codec, points in POINTS.items()
        for quality, (bpp, psnr, ms_ssim) in enumerate(points)
        for values in [{"psnr": psnr, "ms-ssim": ms_ssim}]
    ]
    settings: dict[str, dict[str, Any]] = {codec: {} for codec in POINTS} | {"avif": {"tune": "iq"}}
    return Summary(images, list(POINTS), settings, ["psnr", "ms-ssim"], reference, measurements, at, conclusive)


def test_sizes_are_those_of_the_curve_of_the_means() -> None:
    found = sizes(summary(), Target("psnr", 31))
    assert found["jpeg"].bpp == pytest.approx(0.75)
    assert found["avif"].bpp == pytest.approx(0.6)
    assert found["jpeg"].percent == pytest.approx(25)
    assert found["avif"].percent == 0
    assert found["short"].percent == pytest.approx(50)
    between = sizes(summary(), Target("psnr", 35.2))["jpeg"]
    rates = 1.5 * np.array([0.25, 0.5, 1, 2])
    assert between.bpp == pytest.approx(math.exp(PchipInterpolator([28, 31, 34, 37], np.log(rates))(35.2)))
    assert between.percent == pytest.approx(25)


def test_a_similarity_is_asked_for_as_such_and_interpolated_in_decibels() -> None:
    found = sizes(summary(), Target("ms-ssim", 0.98))["jpeg"]
    scale = [decibels(value) for value in (0.9, 0.96, 0.99, 0.999)]
    expected = PchipInterpolator(scale, np.log(1.5 * np.array([0.25, 0.5, 1, 2])))(decibels(0.98))
    assert found.bpp == pytest.approx(math.exp(expected))


def test_nothing_is_extrapolated() -> None:
    for value in (27.9, 37.1):
        found = sizes(summary(), Target("psnr", value))
        assert math.isnan(found["jpeg"].bpp)
        assert math.isnan(found["jpeg"].percent)
        assert found["jpeg"].none == OUTSIDE
    assert sizes(summary(), Target("psnr", 37))["jpeg"].none == ""
    assert sizes(summary(), Target("psnr", 34))["short"].none == OUTSIDE
    assert sizes(summary(), Target("psnr", 31))["cae"].none == NO_CURVE  # its points do not rise


def test_a_reference_that_does_not_reach_the_quality() -> None:
    """Sizes are there, differences are not, and that is said."""
    targets = Target("psnr", 34), Target("psnr", 31)
    result = summary(*targets, reference="short")
    found = sizes(result, targets[0])
    assert found["jpeg"].bpp == pytest.approx(1.5)
    assert math.isnan(found["jpeg"].percent)
    lines = list(equal_lines(result))
    assert lines[-1] == "short has no size at PSNR 34: no differences there."
    jpeg = next(line for line in lines if line.startswith("jpeg")).split()
    assert jpeg == ["jpeg", "1.500", "\u2014", "0.750", "-16.7", "%"]
    assert next(line for line in lines if line.startswith("cae")).split() == ["cae", *("no", "curve") * 2]


def test_sizes_of_one_image() -> None:
    for name, factor in (("even", 1), ("odd", 2)):
        found = sizes_of_image(summary(), name, Target("psnr", 34))
        assert found["avif"].bpp == pytest.approx(0.8 * factor)
        assert found["jpeg"].percent == pytest.approx(25)
        assert found["cae"].none == NO_CURVE


def test_quality_at_a_rate() -> None:
    found = values_at(summary(), 0.6)
    assert found["avif"]["psnr"] == pytest.approx(31)
    assert found["avif"]["ms-ssim"] == pytest.approx(0.96)  # not in decibels
    assert math.isnan(values_at(summary(), 0.44)["short"]["psnr"])  # its curve begins at 0.45
    assert math.isnan(found["cae"]["psnr"])


def test_the_table() -> None:
    targets = [Target("psnr", value) for value in (29, 30, 31, 33, 35, 37)]
    result = summary(*targets, Target("bpp", 0.6))
    lines = list(equal_lines(result))
    assert max(map(len, lines)) <= WIDTH
    assert "the difference from avif (tune iq) in percent (negative: smaller)" in " ".join(lines[:4])
    first, second, rate = (line.split()[1:] for line in lines if line.startswith("jpeg"))
    expected = [f"{sizes(result, target)['jpeg'].bpp:.3f} +25.0 %" for target in targets]
    assert " ".join(first) == " ".join(expected[:3])
    assert " ".join(second) == " ".join(expected[3:])
    assert [line.split() for line in lines if line.startswith("avif")][1] == [
        *("avif", "(tune", "iq)"),
        *(f"{sizes(result, target)['avif'].bpp:.3f}" for target in targets[3:]),
    ]
    values = values_at(result, 0.6)["jpeg"]
    assert rate == [f"{values['psnr']:.2f}", f"{values['ms-ssim']:.4f}"]
    assert lines[-len(POINTS) - 2] == "Quality at 0.6 bits per pixel, interpolated on the curves of the means."


def test_without_a_conclusion_there_are_no_differences() -> None:
    lines = list(equal_lines(summary(Target("psnr", 31), conclusive=False)))
    assert "%" not in "".join(lines)
    assert next(line for line in lines if line.startswith("jpeg")).split() == ["jpeg", "0.750"]
    assert all(math.isnan(size.percent) for size in sizes(summary(conclusive=False), Target("psnr", 31)).values())


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target("bpp", 0), "more than 0"),
        (Target("vmaf", 90), "there is no metric vmaf"),
        (Target("ssimulacra2", 70), "measured are bpp, psnr, ms-ssim"),
        (Target("ms-ssim", 1), "MS-SSIM is below 1"),
    ],
)
def test_targets_that_mean_nothing(target: Target, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_target(target, ["psnr", "ms-ssim"])


@pytest.fixture
def folder(tmp_path: Path, photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two photographs, one with a name that means something in HTML."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(photo).save(folder / "<b>.png")
    Image.fromarray(photo[::-1, 50:130]).save(folder / "narrow.png")
    return folder


def test_json_and_report(cae: Run, folder: Path, tmp_path: Path) -> None:
    values, report = tmp_path / "values.json", tmp_path / "report.html"
    words = ["--codecs", "jpeg,webp,avif:speed=9", "--metrics", "psnr", "--reference", "avif:speed=9"]
    words += ["--at", "psnr=31", "--at", "psnr=75", "--at", "bpp=1", "--at", "psnr=31"]
    run = cae("rd-curve", folder, *words, "--json", values, "-o", report)
    assert (run.returncode, run.stderr) == (0, "")
    assert max(map(len, run.stdout.splitlines())) <= WIDTH
    assert "avif:speed=9 (tune iq) has no size at PSNR 75: no differences there." in run.stdout.splitlines()
    facts = json.loads(values.read_text())
    assert [entry.get("value") for entry in facts["at"]] == [31, 75, None]  # each once
    low, high, rate = facts["at"]
    sizes = {entry["codec"]: entry for entry in low["codecs"]}
    reference = sizes["avif:speed=9"]["bpp"]
    assert sizes["avif:speed=9"]["percent"] == 0
    assert sizes["jpeg"]["percent"] == pytest.approx(100 * (sizes["jpeg"]["bpp"] / reference - 1))
    # Between the two points of the curve of means that are next to it.
    means = [mean for mean in facts["means"] if mean["codec"] == "jpeg"]
    below = max(mean["bpp"] for mean in means if mean["psnr"] <= 31)
    above = min(mean["bpp"] for mean in means if mean["psnr"] >= 31)
    assert below < sizes["jpeg"]["bpp"] < above
    assert f"{sizes['jpeg']['bpp']:.3f} {sizes['jpeg']['percent']:>+7.1f} %" in run.stdout
    assert high["codecs"][0] == {"codec": "jpeg", "bpp": None, "percent": None, "none": "outside"}
    assert {(entry["image"], entry["codec"]) for entry in low["images"]} == {
        (image, codec) for image in ("<b>.png", "narrow.png") for codec in ("jpeg", "webp", "avif:speed=9")
    }
    assert all(entry["bpp"] > 0 for entry in low["images"])
    assert [set(entry) for entry in rate["codecs"]] == [{"codec", "psnr"}] * 3
    page = report.read_text(encoding="utf-8")
    assert "<h2>At equal quality</h2>" in page
    for title in ("Each image at PSNR 31", "Each image at PSNR 75", "At 1 bits per pixel"):
        assert title in page
    assert page.index("At equal quality") < page.index("<h2>Codecs</h2>")
    section = page[page.index("<h2>At equal quality</h2>") : page.index("<h2>Codecs</h2>")]
    assert "&lt;b&gt;.png" in section
    assert "<b>.png" not in section
    assert f'<td>{sizes["jpeg"]["bpp"]:.3f}<td class="worse">+{sizes["jpeg"]["percent"]:.1f} %' in section
    own = {entry["codec"]: entry for entry in low["images"] if entry["image"] == "narrow.png"}
    assert f"{own['webp']['bpp']:.3f} <span" in section
    smaller = sum(entry["percent"] < 0 for entry in low["images"] if entry["codec"] == "webp")
    total = re.search(r"smaller than avif:speed=9 \(tune iq\)<td>(\d) of 2<td>(\d) of 2<td>", section)
    assert total
    assert int(total[2]) == smaller


def test_without_targets_there_is_no_section(cae: Run, folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    run = cae("rd-curve", folder / "narrow.png", "--codecs", "jpeg", "--metrics", "psnr", "-o", report)
    assert run.returncode == 0
    assert "equal quality," not in run.stdout
    assert "At equal quality" not in report.read_text(encoding="utf-8")


def test_columns_that_do_not_fit_are_shared_out() -> None:
    assert list(columns(["a", "b", "c"], [["x", "1", "22"]])) == ["a  b   c", "x  1  22"]
    heads = ["codec", *(f"{'column':>25}{number}" for number in range(4))]
    lines = list(columns(heads, [["name" * 20, "1", "2", "3", "4"]]))
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) == 5
    assert lines[2] == ""
    assert [line.split()[1:] for line in lines if line] == [
        ["column0", "column1"],
        ["1", "2"],
        ["column2", "column3"],
        ["3", "4"],
    ]
    wide = list(columns(["a", "b" * 120, "c"], [["x", "1", "2"]]))  # nothing is lost
    assert [line.split()[-1] for line in wide if line] == ["b" * 120, "1", "c", "2"]
    assert shorten("photograph.png", 14) == "photograph.png"
    assert shorten("photograph.png", 9) == "phot\u2026.png"
