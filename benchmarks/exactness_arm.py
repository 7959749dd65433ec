"""Exactness on another architecture: files made here, decoded by the compiled kernels and by torch's and numpy's builds
for 64-bit ARM under QEMU, which also encode the images again, up to the latents.

    python benchmarks/exactness_arm.py FOLDER

needs Debian's qemu-user-static and gcc-aarch64-linux-gnu, apt-get and pip with a network. The emulator executes the
NEON and SVE instructions of ARM kernels one by one, so that what is compared is what an ARM processor would compute.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = (
    "libc6 libgcc-s1 libstdc++6 libgomp1 python3.11 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib "
    "zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libuuid1 libncursesw6 libtinfo6 libreadline8 "
    "libcrypt1"
)
# The last torch whose wheel for ARM does not bring CUDA.
WHEELS = "torch==2.8.0 numpy pillow click typing_extensions sympy mpmath networkx jinja2 filelock fsspec"
DOWNLOAD = "-m pip download --quiet --no-deps --only-binary=:all: --python-version=3.11"
REFERENCE = Path(__file__).resolve().parent.parent / "tests" / "reference_decoder.py"
QUALITIES = (5, 50, 95)
HEIGHT, WIDTH = 128, 192
CPUS = ("cortex-a72", "neoverse-n1", "max")
"""NEON alone; with products of bytes; everything that QEMU knows, SVE among it."""


def compare(folder: Path) -> None:
    """Decodes the files in a folder, which fails where latents are others, compares their pixels, and latents that the
    images become; exits with 1 where any are others."""
    from cae.bitstream.container import unpack
    from cae.codec import torch_codec
    from cae.codec.backends.kernels.instructions import levels
    from cae.codec.backends.networks import NUMPY
    from cae.codec.select import load_on_cpu

    files = sorted(folder.glob("*.cae"))
    wrong = 0
    assert levels(), "no kernels were compiled"
    codecs = {level: load_on_cpu(level=level) for level in (*levels(), NUMPY)}
    for name, codec in {**codecs, "torch": torch_codec.load_codec("cpu")}.items():
        same = sum(
            np.array_equal(codec.decode(file.read_bytes()).pixels, np.load(file.with_suffix(".npy"))) for file in files
        )
        print(f"{platform.machine()}, {name}: {len(files)} files to the same latents, {same} to the same pixels")
        wrong += len(files) - same
        same = sum(
            chosen(codec, np.load(file.with_suffix(".source.npy")), unpack(file.read_bytes()).header)
            == json.loads(file.with_suffix(".json").read_text())
            for file in files
        )
        print(f"{platform.machine()}, {name}: {same} of {len(files)} images to the latents they become elsewhere")
        wrong += len(files) - same
    sys.exit(wrong > 0)


def chosen(codec: Any, pixels: Any, header: Any) -> list[int]:
    """Checksums of the latents that an image becomes at once and after refining them twice, and of their payloads."""
    from cae.bitstream.header import tile_rectangles
    from cae.codec.encode import refine

    (area,) = tile_rectangles(header)
    tiles = [refine.encode(codec.coder, [pixels], header, area, effort) for effort in (1, 3)]
    return [number for ((tile, _),) in tiles for number in (tile.latents_checksum, zlib.crc32(tile.payload))]


def make(photos: Path, folder: Path) -> None:
    """Files of the middle of each photograph, and what they decode to here."""
    from cae.bitstream.container import unpack
    from cae.codec.image.picture import read_picture
    from cae.codec.torch_codec import load_codec

    codec = load_codec("cpu")
    for path in sorted(photos.glob("*.png")):
        pixels = read_picture(path).pixels
        top, left = (pixels.shape[0] - HEIGHT) // 2, (pixels.shape[1] - WIDTH) // 2
        picture = read_picture(np.ascontiguousarray(pixels[top : top + HEIGHT, left : left + WIDTH]))
        for quality in QUALITIES:
            file = folder / f"{path.stem}-{quality}.cae"
            file.write_bytes(codec.encode(picture, quality, effort=1))
            np.save(file.with_suffix(".source.npy"), picture.pixels)
            latents = chosen(codec, picture.pixels, unpack(file.read_bytes()).header)
            file.with_suffix(".json").write_text(json.dumps(latents))
            np.save(file.with_suffix(".npy"), codec.decode(file.read_bytes()).pixels)


def install(root: Path) -> None:
    """Debian's Python for ARM and the wheels, unpacked below a folder; nothing is installed."""
    (root / "lists" / "partial").mkdir(parents=True)
    (root / "packages").mkdir()
    apt = ["apt-get", "-qq", "-oAPT::Architecture=arm64", "-oAPT::Architectures=arm64"]
    apt.append(f"-oDir::State::Lists={root / 'lists'}")
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", *PACKAGES.split()], check=True, cwd=root / "packages")
    for package in (root / "packages").iterdir():
        subprocess.run(["dpkg", "-x", package, root / "system"], check=True)
    pip = [sys.executable, *DOWNLOAD.split()]
    pip += [f"--platform={name}_aarch64" for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
    subprocess.run([*pip, "--dest", root / "wheels", *WHEELS.split(), "markupsafe"], check=True)
    for wheel in (root / "wheels").iterdir():
        zipfile.ZipFile(wheel).extractall(root / "site")


def cross_compile(package: Path) -> None:
    """The package, with kernels for ARM, into a new folder."""
    import cae

    shutil.copytree(Path(cae.__file__).parent, package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    sources = sorted((REFERENCE.parent.parent / "codec" / "backends" / "kernels").glob("*.c"))
    options = ("-O3", "-ffp-contract=off", "-fPIC", "-shared")
    library = package / "codec" / "backends" / "kernels" / "_kernels.so"
    subprocess.run(["aarch64-linux-gnu-gcc", *options, "-o", library, *sources], check=True)


def main(photos: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        install(root)
        (root / "files").mkdir()
        make(photos, root / "files")
        cross_compile(root / "package" / "cae")
        paths = f"{root / 'site'}:{root / 'package'}"
        for cpu in CPUS:
            print(f"{cpu}: ", end="", flush=True)
            emulator = ["qemu-aarch64-static", "-L", root / "system", "-cpu", cpu, root / "system/usr/bin/python3.11"]
            environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
            subprocess.run([*emulator, __file__, "--compare", root / "files"], check=True, env=environment)


if __name__ == "__main__":
    if sys.argv[1] == "--compare":
        compare(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]))
