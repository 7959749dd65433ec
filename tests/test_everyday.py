"""Everyday use of the command with the shipped weights: targets, many files, pipes, regions, scales, metadata."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

import cae as api
from cae.bitstream.errors import InputError, TargetError
from cae.codec.encode.rate_control import MAX_CODINGS, bracket
from cae.codec.model.distortion import psnr

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def cat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph of 451 x 300 pixels."""
    path = tmp_path_factory.mktemp("cat") / "cat.png"
    Image.fromarray(skimage.data.chelsea()).save(path)  # type: ignore[no-untyped-call]
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize(("option", "limit"), [("--target-size", 6000), ("--target-bpp", 6000 * 8 / (451 * 300))])
def test_target_size(cae: Run, tmp_path: Path, cat: Path, option: str, limit: float) -> None:
    result = cae("encode", cat, tmp_path / "cat.cae", option, limit)
    assert result.returncode == 0, result.stderr
    assert 0.97 * 6000 <= (tmp_path / "cat.cae").stat().st_size <= 6000
    assert "codings" in result.stdout


def test_target_psnr(cae: Run, tmp_path: Path, cat: Path) -> None:
    assert cae("encode", cat, tmp_path / "cat.cae", "--target-psnr", 33).returncode == 0
    assert cae("decode", tmp_path / "cat.cae", tmp_path / "cat.png").returncode == 0
    assert 33 <= psnr(pixels(cat), pixels(tmp_path / "cat.png")) < 33.3


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--target-size", "100"), 9, "100 bytes cannot be reached: quality 0 takes"),
        (("--target-psnr", "70"), 9, "70 dB cannot be reached: quality 100 has"),
        (("--target-size", "100M"), 0, "quality 100 takes only"),
        (("--target-psnr", "5"), 0, "quality 0 has"),
        (("--target-size", "many"), 2, "not a size"),
        (("--target-size", "0"), 2, "not a size"),
        (("--target-size", "10k", "-q", "50"), 2, "give one of"),
        (("--target-size", "10k", "--target-psnr", "30"), 2, "give one of"),
    ],
)
def test_targets_out_of_reach(
    cae: Run, tmp_path: Path, photo_png: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    result = cae("encode", photo_png, tmp_path / "x.cae", *options)
    assert result.returncode == code
    assert message in result.stderr
    assert (tmp_path / "x.cae").exists() == (code == 0)


@pytest.mark.parametrize("slope", [0.01, 0.018, 0.1])
@pytest.mark.parametrize("target", [-1.0, 0.0, 0.37, 1.9, 3.3, 4.5, 9.0])
def test_bracket_finds_neighbours_in_few_trials(slope: float, target: float) -> None:
    tried: list[int] = []

    def excess(row: int) -> float:
        tried.append(row)
        return 0.018 * row + 0.2 * np.sin(row / 40) - target

    low, high = bracket(excess, slope)
    assert len(tried) <= MAX_CODINGS
    assert len(set(tried)) == len(tried)
    if low is not None:
        assert 0.018 * low + 0.2 * np.sin(low / 40) <= target
    if high is not None:
        assert 0.018 * high + 0.2 * np.sin(high / 40) > target
    if low is not None and high is not None:
        assert high - low <= 2
    assert low is not None or high == 0
    assert high is not None or low == 255


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images in two levels, one of them broken, and a file that is no image."""
    root = tmp_path / "images"
    (root / "deep").mkdir(parents=True)
    image = Image.fromarray(skimage.data.chelsea()[:64, :96])  # type: ignore[no-untyped-call]
    image.save(root / "a.png")
    image.convert("L").save(root / "deep" / "b.jpg")
    (root / "notes.txt").write_text("no image")
    return root


def test_many_files_and_back(cae: Run, tmp_path: Path, folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG no more")
    coded, decoded = tmp_path / "coded", tmp_path / "decoded"
    result = cae("encode", folder, "--out", coded, "-r")
    assert result.returncode == 1
    assert "broken.png" in result.stderr
    assert "2 files" in result.stdout
    assert "1 FAILED" in result.stdout
    assert sorted(p.relative_to(coded).as_posix() for p in coded.rglob("*.*")) == ["a.cae", "deep/b.cae"]
    before = (coded / "a.cae").stat().st_mtime_ns
    again = cae("encode", folder / "a.png", folder / "deep", "--out", coded, "--skip-existing")
    assert again.returncode == 0, again.stderr
    assert "1 skipped" in again.stdout
    assert (coded / "a.cae").stat().st_mtime_ns == before
    assert (coded / "b.cae").exists()  # of a folder without -r, and of a file, the name alone counts
    result = cae("decode", coded, "--out", decoded, "-r", "--format", "webp")
    assert result.returncode == 0, result.stderr
    assert sorted(p.relative_to(decoded).as_posix() for p in decoded.rglob("*.*")) == [
        "a.webp",
        "b.webp",
        "deep/b.webp",
    ]
    assert pixels(decoded / "a.webp").shape == (64, 96, 3)


def test_the_rate_of_many_files(cae: Run, tmp_path: Path, photo: np.ndarray) -> None:
    """It is that of the .cae files, which may be larger than the images."""
    images, coded = tmp_path / "images", tmp_path / "coded"
    images.mkdir()
    for index in range(2):
        Image.fromarray(photo[:64, index : index + 64]).save(images / f"{index}.jpg", quality=10)
    result = cae("encode", images, "--out", coded, "-q", 100)
    size = sum(path.stat().st_size for path in coded.iterdir())
    assert size > sum(path.stat().st_size for path in images.iterdir())
    rate = f", {8 * size / (2 * 64 * 64):.3f} bpp, "
    assert rate in result.stdout
    assert rate in cae("decode", coded, "--out", tmp_path / "decoded").stdout


def test_several_processes(tmp_path: Path, folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG no more")
    command = [sys.executable, "-m", "cae", "encode", folder, "-o", tmp_path / "coded", "-r", "--jobs", "2"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "broken.png" in result.stderr
    assert len(list((tmp_path / "coded").rglob("*.cae"))) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{folder}", "{out}"), "is a folder"),
        (("{folder}/a.png",), "IN and OUT"),
        (("{folder}/a.png", "{folder}/a.png", "{out}"), "IN and OUT"),
        (("-", "--out", "{out}"), "standard input has no name"),
        (("{folder}/deep/none", "--out", "{out}"), "none"),
        (("{folder}/twice", "--out", "{out}"), "would both become"),
        (("{folder}/empty", "--out", "{out}"), "no files ending in"),
    ],
)
def test_wrong_plans(cae: Run, tmp_path: Path, folder: Path, words: tuple[str, ...], message: str) -> None:
    (folder / "empty").mkdir()
    (folder / "twice").mkdir()
    for name in ("x.png", "x.jpg"):
        (folder / "twice" / name).write_bytes(b"")
    result = cae("encode", *(word.format(folder=folder, out=tmp_path / "out") for word in words))
    assert result.returncode in (2, 3)
    assert message in result.stderr
    assert not list(tmp_path.rglob("*.cae"))


@pytest.mark.slow
def test_pipes(tmp_path: Path, photo_png: Path) -> None:
    def run(*words: object, data: bytes) -> CompletedProcess[bytes]:
        command = [sys.executable, "-m", "cae", *map(str, words)]
        return subprocess.run(command, input=data, capture_output=True, timeout=300)

    encoded = run("encode", "-", "-", "-q", 30, data=photo_png.read_bytes())
    assert encoded.returncode == 0, encoded.stderr
    assert api.info(encoded.stdout).width == 200
    assert b"bpp" in encoded.stderr
    decoded = run("decode", "-", "-", "--format", "ppm", data=encoded.stdout)
    assert decoded.returncode == 0, decoded.stderr
    with Image.open(BytesIO(decoded.stdout)) as image:
        assert (image.format, image.size) == ("PPM", (200, 120))
    assert run("decode", "-", "-", data=encoded.stdout).returncode == 2
    assert run("decode", "-", "-", "--format", "doc", data=encoded.stdout).returncode == 2
    assert run("encode", "-", "-", data=b"no image").returncode == 3


@pytest.fixture(scope="module")
def tiled() -> tuple[bytes, np.ndarray]:
    """A file of six tiles of grey and alpha, and what it decodes to, uint8 [H, W, 2]."""
    photo = skimage.data.camera()  # type: ignore[no-untyped-call]
    wide = np.tile(photo, (3, 5))[:1100, :2200]
    alpha = np.add.outer(np.arange(1100), np.arange(2200)).astype(np.uint8)
    data = api.encode(np.dstack([wide, alpha]), 30)
    return data, np.asarray(api.decode(data))


@pytest.mark.parametrize(
    "region", [(0, 0, 1, 1), (2199, 1099, 1, 1), (1000, 1000, 60, 60), (5, 1023, 2100, 2), (0, 0, 2200, 1100)]
)
def test_regions(tiled: tuple[bytes, np.ndarray], region: tuple[int, int, int, int]) -> None:
    data, whole = tiled
    x, y, width, height = region
    part = np.asarray(api.decode(data, region=region)).astype(int)
    expected = whole[y : y + height, x : x + width].astype(int)
    assert part.shape == expected.shape
    assert np.array_equal(part, expected)


def test_a_region_needs_its_tiles_alone(tiled: tuple[bytes, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    from cae.codec.tile.coder import TileCoder

    decoded: list[int] = []
    decode = TileCoder.decode

    def count(self: TileCoder, *arguments: object, **options: object) -> object:
        decoded.append(1)
        return decode(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(TileCoder, "decode", count)
    api.decode(tiled[0], region=(100, 100, 300, 300))
    assert len(decoded) == 1
    api.decode(tiled[0], region=(1000, 100, 100, 100))
    assert len(decoded) == 3


@pytest.mark.parametrize("scale", [2, 4])
def test_scales_are_means(tiled: tuple[bytes, np.ndarray], scale: int) -> None:
    data, whole = tiled
    small = np.asarray(api.decode(data, scale=scale)).astype(float)
    assert small.shape == (-(-1100 // scale), -(-2200 // scale), 2)
    height, width = 1100 // scale * scale, 2200 // scale * scale
    blocks = whole[:height, :width].reshape(height // scale, scale, width // scale, scale, 2).mean((1, 3))
    assert np.abs(small[: len(blocks), : blocks.shape[1]] - blocks).max() <= 0.5
    part = np.asarray(api.decode(data, region=(3, 5, 100, 50), scale=scale)).astype(float)
    corner = whole[5 : 5 + scale, 3 : 3 + scale].mean((0, 1))
    assert np.abs(part[0, 0] - corner).max() <= 1.5


def test_region_and_scale_of_the_command(cae: Run, tmp_path: Path, cat: Path) -> None:
    file, out = tmp_path / "cat.cae", tmp_path / "part.ppm"
    assert cae("encode", cat, file).returncode == 0
    assert cae("decode", file, out, "--region", "10,20,100,50", "--scale", "1/4").returncode == 0
    assert pixels(out).shape == (13, 25, 3)
    for region, message in (("1,2,3", "not X,Y"), ("400,0,100,10", "not within"), ("0,0,0,5", "not within")):
        result = cae("decode", file, tmp_path / "none.png", "--region", region)
        assert result.returncode == 2
        assert message in result.stderr
        assert not (tmp_path / "none.png").exists()
    sizes = []
    for level in (0, 9):
        assert cae("decode", file, tmp_path / f"{level}.png", "--png-compression", level).returncode == 0
        sizes.append((tmp_path / f"{level}.png").stat().st_size)
    assert sizes[0] > 1.2 * sizes[1]
    with pytest.raises(InputError, match="scale"):
        api.decode(file.read_bytes(), scale=3)
    wrong: tuple[dict[str, Any], ...] = ({"scale": 2.0}, {"region": (0.5, 0, 8, 8)}, {"region": (0, 0, 8)})
    for options in wrong:
        with pytest.raises(InputError, match=r"whole numbers|x, y, width"):
            api.decode(file.read_bytes(), **options)


def test_strip_and_exact(cae: Run, tmp_path: Path, photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    alpha = np.zeros(photo.shape[:2], np.uint8)
    alpha[:, :100] = 255
    noise = np.random.default_rng(0).integers(0, 256, photo.shape, np.uint8)
    hidden = np.where(alpha[..., None] > 0, photo, noise)
    Image.fromarray(np.dstack([hidden, alpha])).save(tmp_path / "in.png", exif=exif)
    for name, *options in (("plain",), ("exact", "--exact"), ("strip", "--strip")):
        assert cae("encode", tmp_path / "in.png", tmp_path / f"{name}.cae", "-q", 60, *options).returncode == 0
    plain, exact, strip = ((tmp_path / f"{name}.cae").read_bytes() for name in ("plain", "exact", "strip"))
    assert len(exact) > 1.5 * len(plain) > 1.5 * len(strip)
    assert api.decode(plain).getexif()[0x010F] == "Maker"
    assert not api.decode(strip).getexif()
    assert np.array_equal(np.asarray(api.decode(plain))[..., 3], alpha)
    # What is visible is as good in both, and next to the border as well.
    errors = [
        np.abs(np.asarray(api.decode(d)).astype(int)[:, :100, :3] - photo[:, :100]).mean() for d in (plain, exact)
    ]
    assert errors[0] < 1.1 * errors[1]


@pytest.mark.slow
def test_targets_of_the_api(cat: Path) -> None:
    assert len(api.encode(cat, target_size=5000)) <= 5000
    assert len(api.encode(cat, target_psnr=30)) < len(api.encode(cat, target_psnr=34))
    with pytest.raises(TargetError, match="cannot be reached"):
        api.encode(cat, target_size=30)
    with pytest.raises(InputError, match="at least 1 byte"):
        api.encode(cat, target_size=0)
    for size in (math.nan, math.inf):
        with pytest.raises(InputError, match="at least 1 byte"):
            api.encode(cat, target_size=size)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="number of dB"):
            api.encode(cat, target_psnr=size)
    with pytest.raises(InputError, match="not both"):
        api.encode(cat, target_size=5000, target_psnr=30)


def test_metadata_too_long_for_jpeg_is_left_out(cae: Run, tmp_path: Path, cat: Path) -> None:
    with Image.open(cat) as image:
        xmp = b"<x:xmpmeta>" + b" " * 70000 + b"</x:xmpmeta>"
        image.save(tmp_path / "a.webp", xmp=xmp, lossless=True)
    assert cae("encode", tmp_path / "a.webp", tmp_path / "a.cae", "-e", "1").returncode == 0
    decoded = cae("decode", tmp_path / "a.cae", tmp_path / "a.jpg")
    assert decoded.returncode == 0
    assert decoded.stderr == f"cae: {tmp_path / 'a.jpg'}: XMP left out: JPEG holds 65,504 bytes of it at most\n"


def test_grey_is_smaller_than_colour(cat: Path) -> None:
    with Image.open(cat) as image:
        sizes = [(len(api.encode(image.convert("L"), q)), len(api.encode(image, q))) for q in (10, 50, 90)]
    assert all(grey < colour for grey, colour in sizes)
    assert all(a < b for a, b in pairwise(sizes))


def test_effort(cae: Run, tmp_path: Path, cat: Path) -> None:
    for effort in ("1", "5"):
        assert cae("encode", cat, tmp_path / f"{effort}.cae", "-e", effort).returncode == 0
        assert cae("decode", tmp_path / f"{effort}.cae", tmp_path / f"{effort}.png").returncode == 0
    low, high = (psnr(pixels(cat), pixels(tmp_path / f"{effort}.png")) for effort in ("1", "5"))
    assert high > low + 0.03
    assert (tmp_path / "5.cae").stat().st_size < 1.05 * (tmp_path / "1.cae").stat().st_size
    assert cae("encode", cat, tmp_path / "0.cae", "-e", "0").returncode == 2
    assert len(api.encode(cat, target_size=5000, effort=1)) <= 5000
    with pytest.raises(InputError, match="effort"):
        api.encode(cat, effort=0)
    assert api.encode(cat, effort=np.int64(1)) == (tmp_path / "1.cae").read_bytes()


def test_notes_of_many_files(cae: Run, tmp_path: Path, cat: Path) -> None:
    """What became of single files is said for many of them too, and by --quiet not."""
    deep = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 15
    (tmp_path / "in").mkdir()
    Image.fromarray(deep).save(tmp_path / "in" / "deep.png")
    Image.fromarray(pixels(cat)[:64, :64]).save(tmp_path / "in" / "plain.png")
    for options, said in (((), True), (("--quiet",), False)):
        result = cae("encode", tmp_path / "in", "--out", tmp_path / "out", *options)
        assert result.returncode == 0
        assert ("deep.png: " in result.stderr) == said
        assert "plain.png: " not in result.stderr
