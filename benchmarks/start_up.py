"""Time and memory of `cae encode` and `cae decode` as whole processes, by the compiled kernels and by numpy, against
importing torch alone.

    python benchmarks/start_up.py IMAGE [--rounds 7]

Prints medians of seconds, and of the most memory that a process took. The files and pixels of both are compared.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import click

UNCOMPILED = """
from cae.codec.backends.kernels import instructions
instructions.levels = dict
from cae.cli.main import main
main()
"""
"""A program that runs the command as if there were no kernels."""

COMMANDS = {"": ("-m", "cae"), ", by numpy": ("-c", UNCOMPILED)}


def process(words: Sequence[object]) -> tuple[float, float]:
    """Runs a process, which has to succeed: seconds, and MB of memory at its peak."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, *map(str, words)])
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{words} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


@click.command()
@click.argument("image", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rounds", default=7, show_default=True)
def main(image: Path, rounds: int) -> None:
    """Measure on IMAGE."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written: dict[str, set[bytes]] = {"encode": set(), "decode": set()}
        measured: dict[str, list[tuple[float, float]]] = {}

        def measure(label: str, words: Sequence[object]) -> None:
            measured.setdefault(label, []).append(process(words))

        for _ in range(rounds):
            for module in ("numpy", "torch"):
                measure(f"import {module}", ("-c", f"import {module}"))
            for verb, source, out in (
                ("encode", image, folder / "out.cae"),
                ("decode", folder / "out.cae", folder / "out.ppm"),
            ):
                for suffix, words in COMMANDS.items():
                    out.unlink(missing_ok=True)
                    measure(f"cae {verb}{suffix}", (*words, verb, source, out, "--quiet"))
                    written[verb].add(out.read_bytes())
        if any(len(contents) > 1 for contents in written.values()):
            raise SystemExit("not all code the same files and pixels")
    base = median(seconds for seconds, _ in measured["import torch"])
    for label, results in measured.items():
        seconds, memory = (median(values) for values in zip(*results, strict=True))
        print(f"{label:21} {seconds:5.2f} s, {seconds / base:4.2f} of importing torch, {memory:4.0f} MB")


if __name__ == "__main__":
    main()
