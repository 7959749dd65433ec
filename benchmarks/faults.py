"""Faults while files are written: what is left must be nothing, the older file, or the new one whole.

    python benchmarks/faults.py [--kills 200]

A process that has loaded the model forks one child for each trial, which runs the command `cae`: killed at random
moments (SIGKILL), told to end (SIGTERM, SIGINT), on a full disk, in a folder that is read-only, and two at a time with
one output. Commands that share many files among processes are signalled, too, and all of those have to end. For Linux;
the full disk and the read-only folder are small tmpfs mounts where we may mount, limits and permissions elsewhere.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
from PIL import Image

from cae.cli.main import main as cae
from cae.codec.machine.threads import set_threads
from cae.codec.select import load_on_cpu

SIDE = 160
DISK = 16 * 1024
"""Bytes of the small disk: less than the output."""

FILES = 12
"""Files of a command with several processes."""

LONGEST_END = 20.0
"""Seconds that the processes of such a command may take to end."""


def start(arguments: list[str], errors: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Starts a child that runs the command, its stderr in a file; returns its process id."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        descriptor = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        prepare()
        cae(arguments, prog_name="cae")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 98
    finally:
        os._exit(code)


def finish(child: int) -> int:
    """Waits for a child to end; its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Trials:
    """Runs trials in a folder and counts how they end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.errors = folder / "stderr"
        self.image = folder / "in.png"
        pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(self.image)
        self.outputs = folder / "outputs"
        self.outputs.mkdir()
        self.output = self.outputs / "out.cae"
        self.random = random.Random(0)
        self.broken = 0
        self.other, _ = self.encode_once("60")
        self.whole, self.seconds = min((self.encode_once("90") for _ in range(3)), key=lambda result: result[1])

    def arguments(self, quality: str = "90", output: Path | None = None) -> list[str]:
        return ["encode", str(self.image), str(output or self.output), "-q", quality, "--device", "cpu", "--quiet"]

    def encode_once(self, quality: str) -> tuple[bytes, float]:
        begin = time.perf_counter()
        assert finish(start(self.arguments(quality), self.errors)) == 0, self.errors.read_text()
        seconds = time.perf_counter() - begin
        data = self.output.read_bytes()
        self.output.unlink()
        return data, seconds

    def signalled(self, number: signal.Signals, count: int) -> None:
        """Sends a signal at a random moment: half of them anywhere, half near the end, where the file is written."""
        ends: Counter[str] = Counter()
        leftovers = 0
        for trial in range(count):
            older = b"an older file" if trial % 4 == 3 else None
            if older:
                self.output.write_bytes(older)
            child = start(self.arguments(), self.errors)
            time.sleep(self.seconds * (self.random.uniform(0, 1.1) if trial % 2 else self.random.uniform(0.7, 1.1)))
            os.kill(child, number)
            finish(child)
            found = self.output.read_bytes() if self.output.exists() else None
            ends["the new file" if found == self.whole else "as before" if found == older else "broken"] += 1
            self.output.unlink(missing_ok=True)
            for path in list(self.outputs.iterdir()):
                leftovers += 1
                path.unlink()
        self.broken += ends["broken"] + (0 if number is signal.SIGKILL else leftovers)
        print(f"{number.name} x {count}: {dict(ends)}, temporary files left: {leftovers}", flush=True)

    def refused(self, name: str, folder: Path, prepare: Callable[[], None] = lambda: None) -> None:
        """Encodes to an output that cannot be written: one line, exit code 6 and nothing left are right."""
        before = sorted(folder.iterdir())
        code = finish(start(self.arguments(output=folder / "out.cae"), self.errors, prepare))
        lines = self.errors.read_text().splitlines()
        good = code == 6 and len(lines) == 1 and sorted(folder.iterdir()) == before
        self.broken += not good
        print(f"{name}: exit code {code}, {lines}{'' if good else ' WRONG'}", flush=True)

    def two_writers(self, count: int) -> None:
        """Encodes in two processes, at two qualities, to one output, which must be one of the two files, whole."""
        ends: Counter[str] = Counter()
        for _ in range(count):
            children = [start(self.arguments(quality), self.folder / f"stderr{quality}") for quality in ("90", "60")]
            codes = [finish(child) for child in children]
            data = self.output.read_bytes()
            whole = data in (self.whole, self.other) and codes == [0, 0] and len(list(self.outputs.iterdir())) == 1
            ends["whole" if whole else "broken"] += 1
            self.output.unlink()
        self.broken += ends["broken"]
        print(f"two writers x {count}: {dict(ends)}", flush=True)

    def shared_out(self, number: signal.Signals, count: int) -> None:
        """Sends a signal at a random moment to a command with two more processes: all must end soon, each output must
        be whole or not there."""
        images = self.folder / "images"
        images.mkdir(exist_ok=True)
        for index in range(FILES):
            shutil.copy(self.image, images / f"{index}.png")
        command = [sys.executable, "-m", "cae", "encode", str(images), "--out", str(self.outputs), "--jobs", "2"]
        command += ["-q", "90", "--device", "cpu", "--quiet"]

        def run(number: signal.Signals | None, delay: float) -> tuple[float, int, int]:
            """Seconds after the signal, if there is one, until all have ended; outputs; temporary files."""
            with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as process:
                time.sleep(delay)
                told = time.perf_counter()
                if number:
                    process.send_signal(number)
                process.wait()
                while is_there(process.pid) and time.perf_counter() - told < LONGEST_END:
                    time.sleep(0.01)
            seconds = time.perf_counter() - told
            self.broken += is_there(process.pid)
            found = {path: path.read_bytes() for path in self.outputs.iterdir()}
            for path in found:
                path.unlink()
            whole = [data for path, data in found.items() if path.suffix == ".cae"]
            self.broken += sum(data != self.whole for data in whole)
            return seconds, len(whole), len(found) - len(whole)

        all_seconds, written, left = run(None, 0)
        self.broken += (written != FILES) + left
        ends = [run(number, self.random.uniform(0, all_seconds)) for _ in range(count)]
        seconds, outputs, leftovers = zip(*ends, strict=True)
        self.broken += 0 if number is signal.SIGKILL else sum(leftovers)
        print(
            f"{number.name} to a command with two processes x {count}: {min(outputs)} to {max(outputs)} of {FILES} "
            f"outputs, all processes ended after {max(seconds):.1f} s at most, temporary files left: {sum(leftovers)}",
            flush=True,
        )


def is_there(group: int) -> bool:
    """Whether any process of a group is running."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[bool]:
    """Mounts a small tmpfs on a folder; gives False where we may not."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", str(folder)], check=True)


def limit_file_size() -> None:
    """Limits the size of files, which stands in for a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK, DISK))


@click.command()
@click.option("--kills", default=200, show_default=True)
def main(kills: int) -> None:
    """Run all trials; exit code 1 if anything was lost."""
    set_threads(1)
    load_on_cpu()
    with tempfile.TemporaryDirectory() as name:
        trials = Trials(Path(name))
        print(f"one encode: {1000 * trials.seconds:.0f} ms, {len(trials.whole)} bytes")
        trials.signalled(signal.SIGKILL, kills)
        trials.signalled(signal.SIGTERM, kills // 4)
        trials.signalled(signal.SIGINT, kills // 4)
        trials.shared_out(signal.SIGKILL, kills // 10)
        trials.shared_out(signal.SIGTERM, kills // 10)
        trials.shared_out(signal.SIGINT, kills // 10)
        trials.two_writers(kills // 10)
        trials.refused("file size limit", trials.outputs, limit_file_size)
        with mounted(Path(name) / "full", f"size={DISK}") as done:
            if done:
                trials.refused("full disk", Path(name) / "full")
        with mounted(Path(name) / "read-only", "ro") as done:
            if done:
                trials.refused("read-only file system", Path(name) / "read-only")
        if os.geteuid():
            trials.outputs.chmod(0o555)
            trials.refused("read-only folder", trials.outputs)
            trials.outputs.chmod(0o755)
        print(f"lost: {trials.broken}")
        sys.exit(trials.broken > 0)


if __name__ == "__main__":
    main()
