"""The scripts of examples/ run as they are, in a folder of their own, and write what they say."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

import cae
from cae.codec.model.distortion import psnr

FOLDER = Path(__file__).parent.parent / "examples"


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that an example prints. It keeps nothing outside of the folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    words = [sys.executable, "-W", "error", str(FOLDER / f"{name}.py")]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = run("files", tmp_path, monkeypatch)
    size = (tmp_path / "photo.cae").stat().st_size
    assert line == f"512x512 RGB, {size} bytes, {8 * size / 512**2:.3f} bpp"
    with Image.open(tmp_path / "decoded.png") as decoded:
        assert np.array_equal(decoded, cae.decode((tmp_path / "photo.cae").read_bytes()))


@pytest.mark.slow
def test_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, good, better = run("arrays", tmp_path, monkeypatch)
    assert int(small.split()[4].rstrip(",")) <= 8000
    assert float(good.split()[4].rstrip(",")) >= 36
    pixels = skimage.data.chelsea()  # type: ignore[no-untyped-call]
    usual = cae.encode(pixels, quality=50)
    assert float(better.split()[5]) > psnr(pixels, np.asarray(cae.decode(usual)))
    assert int(better.split()[-2]) < 1.03 * len(usual)


@pytest.mark.slow
def test_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large, *_, overview = run("region", tmp_path, monkeypatch)
    assert large.endswith("in 6 tiles")
    with Image.open(tmp_path / "corner.png") as corner:
        assert corner.size == (400, 300)
    with Image.open(tmp_path / "overview.png") as reduced:
        assert overview == f"an overview: {reduced.width}x{reduced.height}"


def test_with_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("with_pillow", tmp_path, monkeypatch) == ["CAE (640, 427) RGB quality 55", "by A. Photographer"]
    with Image.open(tmp_path / "copy.jpg") as copy:
        assert copy.getexif()[0x013B] == "A. Photographer"


@pytest.mark.slow
def test_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = run("compare", tmp_path, monkeypatch)
    summary = json.loads((tmp_path / "points.json").read_text(encoding="utf-8"))
    assert {point["codec"] for point in summary["points"]} == {"jpeg", "webp", "cae"}
    rates = {(delta["codec"], delta["metric"]): delta["bd_rate"] for delta in summary["deltas"]}
    assert rates["cae", "psnr"] < -20
    assert f"cae, psnr: {rates['cae', 'psnr']:+.1f} % of the bytes of JPEG" in lines


def test_examples_are_short_and_take_the_public_interface() -> None:
    """What they import of the package is `cae` itself and the plugin for Pillow; each has a test above."""
    paths = sorted(FOLDER.glob("*.py"))
    assert len(paths) >= 5
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert f"test_{path.stem}" in globals()
        assert 15 <= len(text.splitlines()) <= 40
        imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {name for node in imports for name in re.findall(r"\bcae\b[\w.]*", ast.unparse(node))}
        assert names <= {"cae", "cae.pillow"}
