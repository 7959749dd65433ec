"""Exactness across settings of a machine, namely threads, instruction sets and libraries: the same files decode to the
same latents and pixels, and the same images become the same files.

    python benchmarks/exactness.py FOLDER

Every PNG image of FOLDER is encoded once at three qualities; then each setting, in a process of its own, decodes all
files, by torch or by numpy, and encodes all images again, each at one of the qualities.
Settings beyond what this machine has are left out.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import torch

from cae.bitstream.container import unpack
from cae.codec.backends.kernels.instructions import levels
from cae.codec.codec import FileCoder
from cae.codec.image.picture import read_picture
from cae.codec.select import load_on_cpu
from cae.codec.torch_codec import load_codec

QUALITIES = (10, 50, 90)

CAPABILITIES = ("default", "avx2", "avx512")
"""Instruction sets of torch, from the least to the most."""

ONEDNN = ("SSE41", "AVX2", "ALL")
"""Instruction sets of oneDNN; those beyond AVX-512 are for other types than float32."""

BEST = torch.backends.cpu.get_cpu_capability().lower()

SETTINGS = [
    {"OMP_NUM_THREADS": threads, "ATEN_CPU_CAPABILITY": aten, "ONEDNN_MAX_CPU_ISA": onednn}
    for threads, aten, onednn in itertools.product(("1", "2"), CAPABILITIES, ONEDNN)
    # torch does not check the variable, and would run instructions that the processor does not have.
    if aten == "default" or (BEST in CAPABILITIES and CAPABILITIES.index(aten) <= CAPABILITIES.index(BEST))
]

CPU_SETTINGS = [
    {"OPENBLAS_NUM_THREADS": threads, "OPENBLAS_CORETYPE": kernels}
    for threads, kernels in itertools.product(("1", "2"), ("Prescott", "Haswell", ""))
]
"""Settings of the BLAS in numpy's wheels: kernels for SSE3, for AVX2, and those it chooses itself."""


def decoded(codec: FileCoder, path: Path) -> str:
    """The SHA-256 of a file's decoded latents and pixels."""
    data = path.read_bytes()
    latents = codec.decode_latents(unpack(data))
    return hashlib.sha256(latents.tobytes() + codec.decode(data).pixels.tobytes()).hexdigest()


def encoded(codec: FileCoder, path: Path, quality: float) -> str:
    """The SHA-256 of the file that an image becomes at a quality, at effort 2."""
    return hashlib.sha256(codec.encode(read_picture(path), quality, effort=2)).hexdigest()


def digests(files: Sequence[Path], images: Sequence[Path], backend: str = "cpu") -> list[str]:
    """Decodes .cae files and encodes images in this process: the digests of `decoded` and `encoded`. backend: "cpu" or
    "cuda" is torch on that device; "numpy", or a level of the compiled kernels, is what does it otherwise."""
    codec = load_codec(backend) if backend in ("cpu", "cuda") else load_on_cpu(level=backend)
    found = [decoded(codec, file) for file in files]
    return found + [encoded(codec, *pair) for pair in zip(images, itertools.cycle(QUALITIES), strict=False)]


def digests_elsewhere(
    files: Sequence[Path], images: Sequence[Path], setting: dict[str, str], backend: str = "cpu"
) -> list[str]:
    """The digests of `digests` in a process of its own, whose environment chooses threads and instruction sets."""
    command = [sys.executable, "-W", "ignore", __file__, "--digests", backend, *map(str, (*files, *images))]
    result = subprocess.run(command, env=os.environ | setting, capture_output=True, text=True, check=True)
    return result.stdout.split()


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--digests", "backend", metavar="BACKEND", help="Print the digests of .cae files and images only.")
def main(paths: tuple[Path, ...], backend: str | None) -> None:
    """Compare all settings on the PNG images of a folder."""
    if backend:
        files = [path for path in paths if path.suffix == ".cae"]
        print("\n".join(digests(files, [path for path in paths if path not in files], backend)))
        return
    images = sorted(image for folder in paths for image in folder.glob("*.png"))
    codec = load_codec("cpu")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for image, quality in itertools.product(images, QUALITIES):
            files.append(Path(folder) / f"{image.stem}-{quality}.cae")
            files[-1].write_bytes(codec.encode(read_picture(image), quality))
        expected = digests(files, images)
        for setting in SETTINGS:
            wrong += differing(expected, digests_elsewhere(files, images, setting), str(setting))
        for setting in CPU_SETTINGS:
            found = digests_elsewhere(files, images, setting, "numpy")
            wrong += differing(expected, found, f"numpy, {setting}")
        for level, threads in itertools.product(levels(), ("1", "2")):
            found = digests_elsewhere(files, images, {"OMP_NUM_THREADS": threads}, level)
            wrong += differing(expected, found, f"kernels {level}, {threads}")
        if torch.cuda.is_available():
            wrong += differing(expected, digests(files, images, "cuda"), "cuda")
    print(f"{len(files)} files, {len(images)} images: {wrong} decoded to other latents or pixels or encoded to others")
    sys.exit(wrong > 0)


def differing(expected: list[str], found: list[str], name: str) -> int:
    """The number of digests that differ; prints a line about them."""
    count = sum(a != b for a, b in zip(expected, found, strict=True))
    print(f"{name}: {len(expected) - count} of {len(expected)} identical", flush=True)
    return count


if __name__ == "__main__":
    main()
