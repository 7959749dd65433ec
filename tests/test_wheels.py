"""The kernels for other systems: what zig compiles is what tools/wheels.py packs, and gives the same numbers."""

from __future__ import annotations

import os
import platform
import runpy
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cae.codec.backends.kernels.instructions import levels

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "tests" / "elsewhere.c"

RUNNERS: dict[str, tuple[str, ...]] = {
    "manylinux_2_17_x86_64": (),
    "manylinux_2_17_aarch64": ("qemu-aarch64-static", "-cpu", "neoverse-n1", "-L", "/usr/aarch64-linux-gnu"),
    "win_amd64": ("wine",),
}
"""What runs a program of another system, if it is installed."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux") or platform.machine() != "x86_64", reason="for Linux"),
    pytest.mark.skipif(not levels(), reason="nothing was compiled here"),
]


@pytest.fixture(scope="module")
def wheels() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "wheels.py"))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digests of this system's own library."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    program = tmp_path_factory.mktemp("here") / "elsewhere"
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-o", program, PROGRAM, "-ldl"], check=True)
    found = find_spec("cae.codec.backends.kernels._kernels")
    assert found
    done = subprocess.run([program, str(found.origin)], capture_output=True, text=True, check=True)
    names, digests = done.stdout.splitlines()
    assert names.split() == list(levels())[::-1]
    assert len(set(digests.split())) == 7
    return digests


def zig(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *map(str, words)], check=True)


@pytest.mark.parametrize("system", RUNNERS)
def test_other_systems(system: str, wheels: dict[str, Any], here: str, tmp_path: Path) -> None:
    """One result, by every level of instructions that an emulator has."""
    runner = RUNNERS[system]
    if runner and not shutil.which(runner[0]):
        pytest.skip(f"{runner[0]} is not installed")
    target, name = wheels["PLATFORMS"][system]
    wheels["compile_kernels"](ROOT, system, tmp_path / name)
    zig("-target", target, "-O1", "-o", tmp_path / "elsewhere.exe", PROGRAM)
    environment = {**os.environ, "WINEDEBUG": "-all", "WINEPREFIX": str(tmp_path / "wine")}
    words = [*runner, str(tmp_path / "elsewhere.exe"), f"./{name}"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    names, digests = done.stdout.splitlines()
    assert digests == here
    if not runner:
        assert names.split() == list(levels())[::-1]
    assert len(names.split()) > 1


@pytest.mark.parametrize(("system", "processor"), [("macosx_11_0_arm64", 0x100000C), ("macosx_11_0_x86_64", 0x1000007)])
def test_libraries_for_macos(system: str, processor: int, wheels: dict[str, Any], tmp_path: Path) -> None:
    """They are linked; what they give is not known before somebody runs tests/elsewhere.c there."""
    wheels["compile_kernels"](ROOT, system, tmp_path / "_kernels.so")
    data = (tmp_path / "_kernels.so").read_bytes()
    assert data[:8] == (0xFEEDFACF).to_bytes(4, "little") + processor.to_bytes(4, "little")
    assert b"\0_cae_kernels\0" in data


@pytest.mark.skipif(not shutil.which("git") or not (ROOT / ".git").exists(), reason="not a clone")
def test_wheels(wheels: dict[str, Any], tmp_path: Path) -> None:
    """For any Python on a system; each has its own kernels, and no sources of theirs."""
    names = {"macosx_11_0_arm64": b"\xcf\xfa\xed\xfe", "manylinux_2_17_x86_64": b"\x7fELF"}
    wheels["make"](tmp_path, list(names))
    (source,) = tmp_path.glob("*.tar.gz")
    assert source.stat().st_size > 10**6
    modules = {path.name for path in (ROOT / "codec" / "backends" / "kernels").glob("*.py")}
    for name, magic in names.items():
        (wheel,) = tmp_path.glob(f"*-py3-none-{name}.whl")
        with zipfile.ZipFile(wheel) as file:
            room = "cae/codec/backends/kernels/"
            found = {path.removeprefix(room) for path in file.namelist() if path.startswith(room)}
            assert found == modules | {"_kernels.so"}
            assert file.read(f"{room}_kernels.so").startswith(magic)
            (about,) = (path for path in file.namelist() if path.endswith(".dist-info/WHEEL"))
            assert f"Tag: py3-none-{name}\n" in file.read(about).decode()
            file.extractall(tmp_path / name)
    code = "import cae, cae.codec.backends.kernels.instructions as i; print(cae.__file__, *i.levels())"
    installed = tmp_path / "manylinux_2_17_x86_64"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(installed / "cae" / "__init__.py"), *levels()]


@pytest.mark.skipif(not shutil.which("qemu-x86_64-static"), reason="no emulator")
@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ("Nehalem", "plain"),
        ("Haswell,-fma", "plain"),
        ("Haswell,-xsave", "plain"),
        ("Haswell", "plain avx2"),
        ("EPYC", "plain avx2"),
    ],
)
def test_levels_of_processors(processor: str, expected: str, wheels: dict[str, Any], here: str, tmp_path: Path) -> None:
    system = "manylinux_2_17_x86_64"
    wheels["compile_kernels"](ROOT, system, tmp_path / "_kernels.so")
    zig("-target", wheels["PLATFORMS"][system][0], "-O1", "-o", tmp_path / "elsewhere", PROGRAM)
    words = ["qemu-x86_64-static", "-cpu", processor, tmp_path / "elsewhere", tmp_path / "_kernels.so"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.splitlines() == [expected, here]


def test_errors_of_the_compiler_are_shown(wheels: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"ziglang cc -target .* failed"):
        wheels["compile_kernels"](ROOT, "win_amd64", tmp_path / "missing" / "_kernels.pyd")
