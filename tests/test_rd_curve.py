"""The command `cae rd-curve`: what it prints and writes, its cache, bad input; with small images and quick codecs."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from cae.cli import extras
from cae.codec.evaluation import anchors, measure
from cae.codec.evaluation.cache import Cache
from cae.codec.evaluation.codecs import PillowCodec, make_codec
from cae.codec.evaluation.images import open_images

Run = Callable[..., "CompletedProcess[str]"]
Bytes = npt.NDArray[np.uint8]
FAST = ("--codecs", "jpeg,webp", "--metrics", "psnr")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cae" / "rd-curve"


@pytest.fixture
def folder(tmp_path: Path, photo: Bytes) -> Path:
    """Two images of different sizes."""
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(photo).save(folder / "wide.png")
    Image.fromarray(photo[:, 50:130]).save(folder / "narrow.png")
    return folder


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """What Pillow was made to encode: codec and quality of each call."""
    calls: list[tuple[str, float]] = []
    encode = PillowCodec.encode

    def counted(self: PillowCodec, image: Bytes, quality: float) -> bytes:
        calls.append((self.name, quality))
        return encode(self, image, quality)

    monkeypatch.setattr(PillowCodec, "encode", counted)
    return calls


def test_table(cae: Run, folder: Path) -> None:
    run = cae("rd-curve", folder, *FAST)
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert lines[0].startswith("2 images, 200x120 and 80x120. Every image counts the same")
    deltas = lines[lines.index(next(line for line in lines if line.startswith("BD-rate against jpeg"))) :]
    assert deltas[1].split() == ["codec", "PSNR", "over", "PSNR", "BD-PSNR", "worst", "encode", "decode"]
    assert deltas[2].split()[:2] == ["jpeg", "+0.0"]
    assert deltas[3].split()[0] == "webp"
    assert float(deltas[3].split()[1]) < -10


def test_every_point_is_a_real_file(cae: Run, folder: Path, tmp_path: Path) -> None:
    table, values = tmp_path / "points.csv", tmp_path / "points.json"
    run = cae("rd-curve", folder, "--codecs", "jpeg,jxl", "--csv", table, "--json", values, "--quiet")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    facts = json.loads(values.read_text())
    assert len(rows) == len(facts["points"]) == 2 * 2 * 8
    for row, point in zip(rows, facts["points"], strict=True):
        assert {key: "" if value is None else str(value) for key, value in point.items()} == row
    jpeg = [row for row in rows if (row["codec"], row["image"]) == ("jpeg", "wide.png")]
    for row in jpeg:
        buffer = io.BytesIO()
        image = Image.open(folder / "wide.png")
        options = {"subsampling": "4:2:0", "optimize": True, "progressive": True}
        image.save(buffer, "JPEG", quality=int(row["quality"]), **options)  # type: ignore[arg-type]
        assert int(row["bytes"]) == len(buffer.getvalue())
        assert float(row["bpp"]) == pytest.approx(8 * len(buffer.getvalue()) / (200 * 120))
        difference = np.asarray(image, float) - np.asarray(Image.open(buffer), float)
        assert float(row["psnr"]) == pytest.approx(10 * np.log10(255**2 / np.mean(difference**2)))
        assert row["ms-ssim"] == ""  # too small for five scales
        assert float(row["ssimulacra2"]) < 100
        assert 0 < float(row["encode_seconds"]) < 10
        y, x = int(row["worst_block_y"]), int(row["worst_block_x"])
        block = np.mean(difference[y : y + 16, x : x + 16] ** 2)
        assert float(row["worst_block_mse"]) == pytest.approx(block)
        assert float(row["worst_block"]) == pytest.approx(block / np.mean(difference**2))
        assert 1 < float(row["block_tail"]) < float(row["worst_block"])
    # Means over the images, each counted once, though one is two and a half times as large.
    for mean in facts["means"]:
        own = [row for row in facts["points"] if (row["codec"], row["quality"]) == (mean["codec"], mean["quality"])]
        assert len(own) == 2
        for name in ("bpp", "psnr"):
            assert mean[name] == pytest.approx((own[0][name] + own[1][name]) / 2)
        assert mean["block_tail"] == pytest.approx((own[0]["block_tail"] + own[1]["block_tail"]) / 2)
        worst = max(own, key=lambda row: row["worst_block"])
        assert mean["worst_block_image"] == worst["image"]
        for name in ("worst_block", "worst_block_x", "worst_block_y", "worst_block_mse"):
            assert mean[name] == worst[name]
    assert facts["notes"] == ["MS-SSIM: not taken of 2 images with a side below 176 pixels"]
    assert facts["codecs"][0]["settings"]["subsampling"] == "4:2:0"
    none = {(entry["codec"], entry["metric"]): entry.get("none") for entry in facts["deltas"]}
    assert none["jxl", "ms-ssim"] == "no curve"
    assert none["jxl", "psnr"] is None


def test_the_worst_block_of_each_quality_is_shown(
    cae: Run, folder: Path, photo: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a codec that breaks a block of one of the pictures at high qualities."""
    broken = {make_codec("webp").encode(photo, quality) for quality in (55, 75, 86, 92)}
    decode = PillowCodec.decode

    def breaking(self: PillowCodec, data: bytes) -> Bytes:
        pixels = decode(self, data)
        if data in broken:
            pixels[32:48, 96:112] = 255 - pixels[32:48, 96:112]
        return pixels

    monkeypatch.setattr(PillowCodec, "decode", breaking)
    lines = cae("rd-curve", folder, "--codecs", "jpeg,webp").stdout.splitlines()
    assert max(map(len, lines)) <= 100
    rows = [line.split() for line in lines[lines.index("webp") + 2 :][:8]]
    assert [row[-2:] == ["96,32", "wide.png"] for row in rows] == [False] * 4 + [True] * 4
    assert float(rows[-1][-3].rstrip("x")) > 50 > float(rows[0][-3].rstrip("x"))
    overall = next(line for line in lines if line.startswith("webp  ")).split()
    assert overall[-5] == rows[-1][-3]


def test_equal_pictures_have_no_worst_block(cae: Run, tmp_path: Path) -> None:
    Image.new("RGB", (48, 32), "white").save(tmp_path / "white.png")
    table = tmp_path / "points.csv"
    run = cae("rd-curve", tmp_path / "white.png", *FAST, "--csv", table, "-o", tmp_path / "report.html")
    assert (run.returncode, run.stderr) == (0, "")
    lines = [line for line in run.stdout.splitlines() if "lossless" in line]
    assert len(lines) >= 8
    assert all(line.split()[-2:] == ["-", "none"] for line in lines)
    rows = [row for row in csv.DictReader(io.StringIO(table.read_text())) if not row["psnr"]]
    assert len(rows) == len(lines)
    for row in rows:
        assert (row["worst_block"], row["worst_block_x"], row["worst_block_mse"], row["block_tail"]) == ("", "", "", "")


def test_no_overlap_is_said(cae: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cae.codec.evaluation import codecs

    worst = codecs.replace(codecs._PILLOW["webp"], qualities=(0, 1))
    best = codecs.replace(codecs._PILLOW["jpeg"], qualities=(98, 100))
    monkeypatch.setattr(codecs, "_PILLOW", {"webp": worst, "jpeg": best})
    measure.load.cache_clear()
    try:
        run = cae("rd-curve", folder, *FAST)
    finally:
        measure.load.cache_clear()
    assert "no overlap" in run.stdout.splitlines()[-1]


def test_second_run_measures_only_what_is_new(
    cae: Run, folder: Path, encoded: list[tuple[str, float]], cache: Path
) -> None:
    first = cae("rd-curve", folder, *FAST)
    assert len(encoded) >= 2 * 2 * 8
    encoded.clear()
    assert cae("rd-curve", folder, *FAST).stdout == first.stdout  # times included
    assert encoded == []
    cae("rd-curve", folder, "--codecs", "jpeg,webp,jpeg-444", "--metrics", "psnr")
    assert {name for name, _ in encoded} == {"jpeg-444"}
    encoded.clear()
    cae("rd-curve", folder, "--codecs", "jpeg", "--metrics", "psnr,psnr-y")  # a metric that is not known yet
    assert {name for name, _ in encoded} == {"jpeg"}
    damaged = next(cache.glob("*/*.json"))
    damaged.write_text("{")
    encoded.clear()
    cae("rd-curve", folder, "--codecs", "jpeg,webp,jpeg-444", "--metrics", "psnr")
    assert len(set(encoded)) <= 2  # the damaged one, and the first quality as a warm-up
    assert json.loads(damaged.read_text())
    encoded.clear()
    before = sorted(cache.rglob("*"))
    assert cae("rd-curve", folder, *FAST, "--no-cache").returncode == 0
    assert len(encoded) >= 2 * 2 * 8
    assert sorted(cache.rglob("*")) == before


def test_results_of_a_version_that_knew_no_blocks_are_measured_again(
    cae: Run, folder: Path, encoded: list[tuple[str, float]], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (image,), _ = open_images([folder / "wide.png"])
    codec = measure.load("webp", 1)
    for quality in codec.qualities:
        key = measure.point_key(image, codec, quality, measure.threads_of(1))
        del key["blocks"]
        old = {"bytes": 9, "encode_seconds": 1, "decode_seconds": 1, "metrics": {"psnr": "40.0"}}
        Cache(cache).put(key, old)
    values = cache / "points.json"
    run = cae("rd-curve", image.path, "--codecs", "webp", "--metrics", "psnr", "--json", values)
    assert (run.returncode, run.stderr) == (0, "")
    assert {quality for _, quality in encoded} == set(codec.qualities)
    assert all(point["bytes"] > 9 and point["worst_block"] > 1 for point in json.loads(values.read_text())["points"])
    encoded.clear()
    monkeypatch.setattr(measure, "PERCENTILE", 99.0)  # another definition
    cae("rd-curve", image.path, "--codecs", "webp", "--metrics", "psnr")
    assert {quality for _, quality in encoded} == set(codec.qualities)


def test_images_without_a_cache_entry_are_known_by_their_pixels(
    cae: Run, folder: Path, encoded: list[tuple[str, float]]
) -> None:
    cae("rd-curve", folder, *FAST)
    encoded.clear()
    with Image.open(folder / "wide.png") as image:
        image.save(folder / "again.bmp")
    assert "3 images" in cae("rd-curve", folder, *FAST).stdout
    assert encoded == []


@pytest.mark.slow
def test_jobs_measure_the_same(cae: Run, folder: Path, tmp_path: Path) -> None:
    tables = []
    for jobs in (1, 2):
        path = tmp_path / f"{jobs}.csv"
        assert cae("rd-curve", folder, *FAST, "--jobs", jobs, "--no-cache", "--csv", path, "--quiet").returncode == 0
        tables.append([row[:-2] for row in csv.reader(io.StringIO(path.read_text()))])  # times aside
    assert tables[0] == tables[1]


@pytest.mark.slow
def test_without_images_nothing_is_claimed(cae: Run, tmp_path: Path) -> None:
    values = tmp_path / "demo.json"
    run = cae("rd-curve", *FAST, "--json", values)
    assert run.returncode == 0
    assert run.stdout.startswith("A demonstration on 5 images made on the spot, 384x256.")
    assert "BD-rate against" not in run.stdout
    assert json.loads(values.read_text())["deltas"] == []


def test_own_codec_and_plot(cae: Run, folder: Path, tmp_path: Path) -> None:
    plot = tmp_path / "rd.svg"
    run = cae("rd-curve", folder / "narrow.png", "--codecs", "jpeg,cae", "--metrics", "psnr", "--plot", plot)
    assert run.returncode == 0
    assert run.stdout.splitlines()[-1].startswith("cae ")
    svg = plot.read_text()
    assert svg.startswith("<?xml")
    assert "PSNR (RGB), dB" in svg or "matplotlib.axis" in svg
    png = tmp_path / "rd.png"
    assert cae("rd-curve", folder / "narrow.png", *FAST, "--plot", png).returncode == 0
    with Image.open(png) as image:
        assert image.width > 500
        assert image.getpixel((2, image.height - 2))[:3] == (255, 255, 255)  # type: ignore[index]


# Bad input.


def test_an_unreadable_image_is_skipped(cae: Run, folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"not an image")
    run = cae("rd-curve", folder, folder / "missing.png", *FAST)
    assert run.returncode == 1
    assert run.stdout.startswith("2 images")
    skipped, missing, last = run.stderr.splitlines()
    assert skipped.startswith(f"cae: {folder / 'bad.png'}: not an image")
    assert missing == f"cae: {folder / 'missing.png'}: No such file or directory; skipped"
    assert last == "cae: 2 of 4 images could not be read"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["EMPTY"], 2, "a folder without images"),
        (["EMPTY/none.png"], 1, "none of the images can be read"),
        (["--codecs", "jpg"], 2, "there is no codec jpg; there are jpeg, "),
        (["--codecs", "jpeg:quality=3"], 2, "not an option of jpeg"),
        (["--codecs", "avif:speed=11"], 2, "from 0 to 10"),
        (["--codecs", "cae:weights=EMPTY"], 5, "no weights in"),
        (["--metrics", "vmaf"], 2, "there is no metric vmaf"),
        (["--at", "bpp"], 2, "bpp is not of the form ssimulacra2=70, psnr=34 or bpp=0.5"),
        (["--at", "=3"], 2, "=3 is not of the form"),
        (["--at", "psnr=34", "--at", "psnr=high"], 2, "psnr=high is not of the form"),
        (["--at", "psnr=inf"], 2, "psnr=inf is not of the form"),
        (["--at", "bpp=-1"], 2, "--at bpp=-1: a rate is more than 0 bits per pixel"),
        (["--at", "vmaf=90"], 2, "--at vmaf=90: there is no metric vmaf; there are bpp, psnr, "),
        (
            ["--at", "ssim=0.9"],
            2,
            "--at ssim=0.9: measured are bpp, psnr, psnr-y, ms-ssim, ssimulacra2; --metrics takes",
        ),
        (["--at", "ms-ssim=17"], 2, "--at ms-ssim=17: MS-SSIM is below 1"),
        (["--at", "psnr=34", "--reference", "vvc"], 2, "the reference vvc is not among the codecs jpeg, webp"),
        (["--codecs", "avif:tune=best"], 2, "the tune is one of iq, psnr, ssim, ssimulacra2"),
        (["--codecs", "webp", "--reference", "jpeg"], 2, "jpeg is not among the codecs webp"),
        (["--show", "that.png"], 2, "no image of that name"),
        (["--anchors", "kodak"], 2, "among these 1 images are 0 of them"),
        (["-o", "report.pdf"], 2, ".html"),
        (["--plot", "rd.gif"], 2, ".png or .svg"),
        (["--json", "EMPTY/none/a.json"], 6, "there is no directory"),
    ],
)
def test_wrong_usage(cae: Run, photo_png: Path, tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    (tmp_path / "empty").mkdir()
    arguments = [word.replace("EMPTY", str(tmp_path / "empty")) for word in arguments]
    images = [] if arguments[0].startswith(str(tmp_path)) else [photo_png]
    run = cae("rd-curve", *images, *arguments)
    assert run.returncode == code
    assert run.stdout == ""
    assert words in run.stderr
    assert "Traceback" not in run.stderr


def test_a_codec_that_fails_is_named(
    cae: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo_png: Path
) -> None:
    def fail(self: PillowCodec, image: Bytes, quality: float) -> bytes:
        raise OSError("encoder error")

    monkeypatch.setattr(PillowCodec, "encode", fail)
    run = cae("rd-curve", photo_png, *FAST)
    assert run.returncode == 1
    assert run.stderr == f"cae: jpeg, quality 3, on {photo_png}: encoder error\n"


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (33, 2)])
def test_tiny_images(cae: Run, photo: Bytes, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.fromarray(np.resize(photo, (*size, 3))).save(tmp_path / "tiny.png")
    run = cae("rd-curve", tmp_path / "tiny.png", "--jobs", "1")
    assert (run.returncode, run.stderr) == (0, "")
    assert "MS-SSIM: not taken of 1 image with a side below 176 pixels" in run.stdout


def test_grey_and_alpha_are_said(cae: Run, photo: Bytes, tmp_path: Path) -> None:
    Image.fromarray(photo).convert("LA").save(tmp_path / "grey.png")
    run = cae("rd-curve", tmp_path / "grey.png", *FAST)
    assert run.returncode == 0
    assert run.stderr.splitlines() == [
        f"cae: {tmp_path / 'grey.png'}: grey, measured as RGB",
        f"cae: {tmp_path / 'grey.png'}: alpha left out",
    ]


def test_without_the_extra(cae: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.MODULES, "eval", ("scipy", "no_such_package"))
    for arguments in ([], ["--list-codecs"]):
        run = cae("rd-curve", *arguments)
        assert run.returncode == 1
        assert run.stderr == (
            'cae: rd-curve needs the extra "eval", to be installed as the package was: pip install ".[eval]" '
            "(missing: no_such_package)\n"
        )


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_names_that_are_not_text(cae: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "wide.png").rename(folder / os.fsdecode(b"caf\xe9.png"))
    table, page = tmp_path / "points.csv", tmp_path / "report.html"
    run = cae("rd-curve", folder, *FAST, "--csv", table, "-o", page)
    assert (run.returncode, run.stderr) == (0, "")
    for path in (table, page):
        assert "caf\\udce9.png" in path.read_text(encoding="utf-8")


def test_list_codecs(cae: Run) -> None:
    run = cae("rd-curve", "--list-codecs")
    assert run.returncode == 0
    lines = run.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == ["jpeg", "jpeg-444", "webp", "avif", "avif-420", "jpeg2000", "jxl", "cae", "zoo:MODEL"]
    assert run.stdout.count("[default]") == 6


def test_jxl_without_its_package(cae: Run, photo_png: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    measure.load.cache_clear()
    run = cae("rd-curve", photo_png, "--codecs", "jpeg,jxl")
    assert (run.returncode, run.stderr) == (2, "cae: codec jxl needs the package pillow-jxl-plugin\n")
    assert "jxl        JPEG XL, pillow-jxl-plugin, effort 7 [not here: " in cae("rd-curve", "--list-codecs").stdout


def test_anchors_only_for_the_kodak_images(cae: Run, photo_png: Path) -> None:
    known = sorted(anchors._contents()[0])
    anchors.check_images(known)
    for others in (known[:-1], [*known, known[0]], [*known[:-1], "0" * 64]):
        with pytest.raises(Exception, match="Kodak"):
            anchors.check_images(others)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_leaves_the_cache_usable(folder: Path, cache: Path, tmp_path: Path, jobs: int) -> None:
    arguments = ["rd-curve", str(folder), "--codecs", "jpeg,avif:speed=0", "--metrics", "psnr", "--jobs", str(jobs)]
    program = "from cae.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while len(list(cache.glob("*/*.json"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err) == ("", "cae: interrupted\n")
    entries = list(cache.glob("*/*.json"))
    assert len(entries) >= 4
    for entry in entries:
        assert {"bytes", "metrics"} <= json.loads(entry.read_text()).keys()
