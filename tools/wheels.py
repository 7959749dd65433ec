"""Makes what is published: the source, and wheels with compiled kernels for all systems, on one machine, as zig's C
compiler knows the libraries of each.

    pip install ".[wheels]" && python tools/wheels.py dist

The kernels need nothing of Python, so that one wheel serves all its versions. Where pip compiles them from the source,
they are the same; but that takes a C compiler, and Microsoft's will not do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

import click

ROOT = Path(__file__).parent.parent

PLATFORMS = {
    "manylinux_2_17_x86_64": ("x86_64-linux-gnu.2.17", "_kernels.so"),
    "manylinux_2_17_aarch64": ("aarch64-linux-gnu.2.17", "_kernels.so"),
    "macosx_11_0_arm64": ("aarch64-macos.11.0", "_kernels.so"),
    "macosx_11_0_x86_64": ("x86_64-macos.11.0", "_kernels.so"),
    "win_amd64": ("x86_64-windows-gnu", "_kernels.pyd"),
}
"""For each platform, by its name in a wheel's: zig's name of it, and a name under which Python finds the library."""


def compile_kernels(source: Path, platform: str, path: Path) -> None:
    """Compiles a platform's shared library by pyproject.toml. zig may leave further files beside it."""
    with (source / "pyproject.toml").open("rb") as file:
        (library,) = tomllib.load(file)["tool"]["setuptools"]["ext-modules"]
    target, _ = PLATFORMS[platform]
    words = ["-target", target, "-shared", "-fPIC", "-s", *library["extra-compile-args"], *library["sources"]]
    run(source, [sys.executable, "-m", "ziglang", "cc", *words, "-o", str(path)])


def run(folder: Path, words: Sequence[str], **environment: str) -> None:
    """Runs a command in a folder. Where it fails, prints its output and ends this one."""
    done = subprocess.run(words, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}\n{' '.join(words)} failed")


def make(folder: Path, platforms: Sequence[str]) -> None:
    """Writes the source, and a wheel for each platform, to a folder."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        source, content = work / "source", work / "content"
        # The files that git knows, as they are staged.
        run(ROOT, ["git", "checkout-index", "--all", f"--prefix={source}/"])
        # The source archive, and a wheel from it without kernels, for want of a compiler.
        run(source, [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(work)], CC="false")
        (archive,), (wheel,) = work.glob("*.tar.gz"), work.glob("*.whl")
        report(archive, folder)
        run(work, [sys.executable, "-m", "wheel", "unpack", "--dest", str(content), str(wheel)])
        (unpacked,) = content.iterdir()
        (about,) = unpacked.glob("*.dist-info/WHEEL")
        kernels = unpacked / "cae" / "codec" / "backends" / "kernels"
        if any(kernels.glob("_kernels.*")):
            raise SystemExit("a compiler was found where none should be: the wheels would have two libraries")
        for platform in platforms:
            compiled, packed = work / "compiled" / platform, work / "packed" / platform
            for made in (compiled, packed):
                made.mkdir(parents=True)
            _, name = PLATFORMS[platform]
            compile_kernels(source, platform, compiled / name)
            shutil.copy(compiled / name, kernels)
            about.write_text(re.sub("^Tag: .*$", f"Tag: py3-none-{platform}", about.read_text(), flags=re.MULTILINE))
            run(work, [sys.executable, "-m", "wheel", "pack", "--dest-dir", str(packed), str(unpacked)])
            (kernels / name).unlink()
            (wheel,) = packed.iterdir()
            report(wheel, folder)


def report(made: Path, folder: Path) -> None:
    """Copies a file to the folder and prints its name and size."""
    path = Path(shutil.copy(made, folder))
    print(f"{path}: {path.stat().st_size:,} bytes", flush=True)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--platform", "platforms", type=click.Choice(list(PLATFORMS)), multiple=True, help="Default: all.")
def main(folder: Path, platforms: tuple[str, ...]) -> None:
    """Write wheels into FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    make(folder.resolve(), platforms or tuple(PLATFORMS))


if __name__ == "__main__":
    main()
