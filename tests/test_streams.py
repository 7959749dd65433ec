"""Standard streams that are closed, full or gone, outputs that are no files, and names that are not for a line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., CompletedProcess[str]]

posix = pytest.mark.skipif(os.name != "posix", reason="shells of POSIX alone")


def shell(line: str, folder: Path) -> CompletedProcess[str]:
    command = f'cae() {{ {sys.executable} -m cae "$@"; }}\n{line}'
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path, photo: np.ndarray) -> Path:
    Image.fromarray(photo[:64, :64]).save(tmp_path / "a.png")
    assert shell("cae encode a.png good.cae --quiet", tmp_path).returncode == 0
    return tmp_path


@posix
@pytest.mark.slow
@pytest.mark.parametrize("closed", ["2>&-", "<&-", "1>&-", "<&- 1>&- 2>&-"])
def test_closed_streams(closed: str, folder: Path) -> None:
    for command, output in (("encode a.png b.cae", "b.cae"), ("decode good.cae b.png", "b.png"), ("info good.cae", "")):
        result = shell(f"cae {command} {closed}", folder)
        assert result.returncode == 0
        assert result.stderr == ""
        if output:
            assert (folder / output).stat().st_size > 100
    assert (folder / "b.cae").read_bytes() == (folder / "good.cae").read_bytes()
    assert shell(f"cae encode none.png c.cae {closed}", folder).returncode == 3
    if "1>&-" in closed:
        assert shell(f"cae encode a.png - {closed}", folder).returncode == 6
    if "<&-" in closed:
        assert shell(f"cae encode - c.cae {closed}", folder).returncode == 3


@posix
@pytest.mark.slow
def test_full_and_gone_outputs(folder: Path) -> None:
    if Path("/dev/full").exists():
        for line in ("cae encode a.png /dev/full", "cae decode good.cae - --format ppm >/dev/full"):
            result = shell(line, folder)
            assert result.returncode == 6
            assert result.stderr.count("\n") == 1
    result = shell("cae decode good.cae - --format ppm | head -c 10 | wc -c; echo ${PIPESTATUS[0]}", folder)
    assert result.stdout.split()[0] == "10"
    assert "Traceback" not in result.stderr


@posix
@pytest.mark.slow
def test_what_is_no_file_gets_data_alone(folder: Path) -> None:
    good = (folder / "good.cae").read_bytes()
    (folder / "d.cae").write_bytes(b"")
    lines = (
        "cae encode a.png /dev/stdout | cat > b.cae",
        "cae encode a.png /dev/stdout > d.cae",
        "cae encode a.png - > e.cae",
    )
    for line, name in zip(lines, "bde", strict=True):
        result = shell(line, folder)
        assert (folder / f"{name}.cae").read_bytes() == good
        assert "bytes (from" in result.stderr
        assert result.stdout == ""
    result = shell("mkfifo p; cat p > f.cae & cae encode a.png p; wait", folder)
    assert (folder / "f.cae").read_bytes() == good
    assert (result.stdout, "bytes (from" in result.stderr) == ("", True)
    result = shell("cae decode good.cae /dev/stdout --format ppm | cat > b.ppm", folder)
    with Image.open(folder / "b.ppm") as image:
        assert image.size == (64, 64)
    assert (folder / "b.ppm").stat().st_size == 64 * 64 * 3 + len(b"P6\n64 64\n255\n")


def test_names_stay_on_their_line(cae: Run, tmp_path: Path) -> None:
    name = tmp_path / "two\nlines\x1b[2J\r.png"
    for command in (("encode", name, tmp_path / "a.cae"), ("info", name), ("decode", name, tmp_path / "a.png")):
        result = cae(*command)
        assert result.returncode != 0
        assert result.stderr.count("\n") == 1
        assert "two\\nlines\\x1b[2J\\r.png" in result.stderr
    Image.new("RGB", (16, 16)).save(name)
    result = cae("encode", name, tmp_path / "c\nd.cae", "-e", "1")
    assert (result.returncode, result.stdout.count("\n")) == (0, 1)


def test_what_is_left_out_of_a_folder_is_counted(cae: Run, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    Image.new("RGB", (16, 16)).save(source / "a.png")
    for name in ("._a.png", "._b.JPG", "x.heic", "y.HEIC", "z.dng", "notes.txt"):
        (source / name).write_bytes(b"\0\5\x16\7")
    result = cae("encode", source, "--out", tmp_path / "out", "-e", "1")
    assert result.returncode == 0
    assert result.stderr == "cae: left out: 2 ._* of macOS, 1 .dng, 2 .heic\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.cae"]
    assert cae("encode", source, "--out", tmp_path / "out", "--quiet").stderr == ""
    (source / "a.png").unlink()
    result = cae("encode", source, "--out", tmp_path / "out")
    assert result.returncode == 2
    assert "left out: 2 ._* of macOS, 1 .dng, 2 .heic" in " ".join(result.stderr.split())
    assert cae("encode", tmp_path / "in" / "._a.png", tmp_path / "b.cae").returncode == 3  # asked for by name
