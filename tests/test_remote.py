"""Inputs and outputs that are URLs, and the choice of an engine."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from PIL import Image

from cae.cli.remote import Remote, place

pytest.importorskip("fsspec", reason="fsspec is not installed: the extra ray")
from fsspec.implementations.memory import MemoryFileSystem

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    """Nothing stays in the file system of memory://."""
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def archive(tmp_path: Path, photo_png: Path) -> str:
    """The URL of a ZIP archive with two images in two levels of a folder, and a broken one."""
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.write(photo_png, "photos/a.png")
        file.write(photo_png, "photos/deep/b.png")
        file.writestr("photos/broken.png", b"\x89PNG no more")
        file.writestr("photos/notes.txt", b"no image")
    return f"zip://photos::file://{path}"


def stored() -> list[str]:
    return sorted(MemoryFileSystem.store)


@pytest.mark.usefixtures("stand_in")
def test_folders_are_urls(cae: Run, archive: str, photo_png: Path, tmp_path: Path) -> None:
    result = cae("encode", archive, photo_png, "-r", "--out", "memory://coded/all")
    assert result.returncode == 1
    lines = [line for line in result.stderr.splitlines() if "larger than" not in line]  # as this stand-in's files are
    assert lines == ["cae: zip://photos/broken.png: not an image in a format that can be read here"]
    assert "3 files" in result.stdout
    assert stored() == ["/coded/all/a.cae", "/coded/all/deep/b.cae", "/coded/all/photo.cae"]
    result = cae("encode", archive, photo_png, "-r", "--out", "memory://coded/all", "--skip-existing")
    assert "0 files" in result.stdout
    assert "3 skipped" in result.stdout
    result = cae("decode", "memory://coded", "-r", "--out", tmp_path / "decoded")
    assert result.returncode == 0, result.stderr
    names = sorted(path.relative_to(tmp_path / "decoded").as_posix() for path in tmp_path.glob("decoded/**/*.png"))
    assert names == ["all/a.png", "all/deep/b.png", "all/photo.png"]
    with Image.open(tmp_path / "decoded/all/a.png") as image, Image.open(photo_png) as original:
        assert image.tobytes() == original.tobytes()


@pytest.mark.usefixtures("stand_in")
def test_one_file_is_a_url(cae: Run, archive: str, photo_png: Path, tmp_path: Path) -> None:
    assert cae("encode", archive, "--out", tmp_path / "flat").returncode == 1  # only what is in the folder itself
    assert [path.name for path in tmp_path.glob("flat/*")] == ["a.cae"]
    assert cae("encode", f"file://{photo_png}", "memory://new/x.cae").returncode == 0
    assert cae("decode", "memory://new/x.cae", "memory://new/x.webp").returncode == 0
    assert stored() == ["/new/x.cae", "/new/x.webp"]
    result = cae("decode", "memory://new/x.webp", "memory://new/x.webp")
    assert result.returncode == 6
    assert "same file" in result.stderr
    result = cae("encode", "memory://new/none.png", "memory://new/y.cae")
    assert result.returncode == 3
    assert result.stderr == "cae: memory:///new/none.png: No such file or directory\n"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("nowhere://a/b.png", "Protocol not known: nowhere"),
        ("zip://a::file:///none.zip", "none.zip"),
        ("memory://none", "memory:///none: No such file"),
    ],
)
def test_bad_urls(cae: Run, tmp_path: Path, word: str, message: str) -> None:
    result = cae("encode", word, "--out", tmp_path / "out")
    assert result.returncode in (1, 2, 3)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_names_do_not_leave_the_folder(cae: Run, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        for name in ("photos/a.png", "photos/../../evil.png"):
            file.writestr(name, b"")
    result = cae("encode", f"zip://photos::file://{tmp_path}/evil.zip", "-r", "--out", tmp_path / "out" / "deep")
    assert result.returncode == 2
    assert "would leave" in result.stderr


class Full(MemoryFileSystem):
    """A store that fails where a file is given its name."""

    cachable = False

    def mv(self, path1: str, path2: str, **options: object) -> None:
        raise RuntimeError("quota exceeded")


@pytest.mark.parametrize("before", [{}, {"/old/x.cae": b"as it was"}])
def test_outputs_are_whole_or_absent(before: dict[str, bytes]) -> None:
    system = Full()
    for path, data in before.items():
        system.pipe_file(path, data)
    with pytest.raises(OSError, match="RuntimeError: quota exceeded"):
        Remote(system, "/old/x.cae").write_bytes(b"data")
    assert {path: system.cat_file(path) for path in stored()} == before


def test_local_urls_are_paths(tmp_path: Path) -> None:
    assert place(f"file://{tmp_path}/a.png") == tmp_path / "a.png"
    assert place("a/b.png") == Path("a/b.png")


def test_unknown_engine(cae: Run, photo_png: Path, tmp_path: Path) -> None:
    result = cae("encode", photo_png, "--out", tmp_path / "out", "--engine", "spark")
    assert result.returncode == 2
    assert "'local', 'ray'" in result.stderr


def test_ray_is_missing(cae: Run, photo_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # type: ignore[arg-type]
    for command in ("encode", "decode"):
        result = cae(command, photo_png, "--out", tmp_path / "out", "--engine", "ray")
        assert result.returncode == 2
        assert 'pip install ".[ray]"' in result.stderr
    assert not (tmp_path / "out").exists()


def test_ray_is_not_imported_unless_asked_for(photo_png: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from cae.cli.main import main; main(sys.argv[1:], standalone_mode=False); "
        "sys.exit(any(name.partition('.')[0] == 'ray' for name in sys.modules))"
    )
    command = [sys.executable, "-c", code, "encode", str(photo_png), "--out", str(tmp_path / "out")]
    assert subprocess.run(command, timeout=300).returncode == 0
    assert (tmp_path / "out" / "photo.cae").exists()
