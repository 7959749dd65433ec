"""Many files by a Ray cluster of this machine with two workers."""

from __future__ import annotations

import gc
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image

from cae.cli.failures import Failure
from cae.cli.work import Job, Outcome

Result = TypeVar("Result")
Run = Callable[..., CompletedProcess[str]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_spec("ray"), reason="Ray is not installed: the extra ray"),
    pytest.mark.filterwarnings("ignore"),  # what Ray's own code warns of
]


def holders(path: Path) -> set[int]:
    """The processes other than this one that have a file open. Linux only."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # gone by now, or another user's
            if link.readlink() == path:
                found.add(int(link.parts[2]))
    return found - {os.getpid()}


def until(condition: Callable[[], Result], seconds: float = 60) -> Result:
    """What the condition gives when it holds."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return result


def open_for_reader(pipe: Path) -> int:
    """A descriptor for writing, or 0 while nobody reads."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return 0


def has_no_reader(descriptor: int) -> bool:
    """Whether writing to a pipe would fail."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the worker in /proc")
def test_a_worker_is_killed_and_nothing_is_lost(cae: Run, tmp_path: Path, photo_png: Path) -> None:
    """The command with a cluster of its own, a broken file, a pipe that tells which worker is in the middle of it."""
    folder, pipe = tmp_path / "images", tmp_path / "pipe.png"
    (folder / "deep").mkdir(parents=True)
    with Image.open(photo_png) as image:
        for index in range(4):
            image.crop((index, 0, index + 64, 64)).save(folder / "deep" / f"{index}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG no more")
    # Larger than what a pipe holds, so that writing takes as long as reading.
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    os.mkfifo(pipe)
    words = ["pipe.png", "images", "-r", "--out", f"dir://coded::file://{tmp_path}", "--engine", "ray", "--jobs", "2"]
    command = [sys.executable, "-m", "cae", "encode", *words]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            first = until(lambda: open_for_reader(pipe))
            (worker,) = until(lambda: holders(pipe))
            os.kill(worker, signal.SIGKILL)
            until(lambda: has_no_reader(first))
            os.close(first)
            with os.fdopen(until(lambda: open_for_reader(pipe)), "wb") as second:
                os.set_blocking(second.fileno(), True)
                second.write((tmp_path / "noise.png").read_bytes())
            out, err = process.communicate(timeout=60)
        finally:
            process.terminate()  # where it has not ended; it takes its cluster along
    assert process.returncode == 1
    assert err == f"cae: {folder}/broken.png: not an image in a format that can be read here\n"
    assert "5 files" in out
    assert "1 FAILED" in out
    assert cae("encode", folder, tmp_path / "noise.png", "-r", "--out", tmp_path / "local").returncode == 1
    expected = {path.relative_to(tmp_path / "local"): path.read_bytes() for path in tmp_path.glob("local/**/*.*")}
    expected[Path("pipe.cae")] = expected.pop(Path("noise.cae"))
    coded = {path.relative_to(tmp_path / "coded"): path.read_bytes() for path in tmp_path.glob("coded/**/*.*")}
    assert coded == expected


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster with two CPUs, to which the engine of this process is connected."""
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
    yield
    ray.shutdown()
    gc.collect()  # what Ray has left open is to be found here and not by the next test


@pytest.mark.usefixtures("cluster")
def test_a_file_that_kills_its_worker_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And all others are done, although more workers are asked for than the cluster has room for."""
    from cae.cli import cluster

    monkeypatch.setattr(cluster, "ATTEMPTS", 2)  # each takes some seconds

    class Deadly:  # a local class is sent to the workers as it is
        def read(self, job: Job) -> Any:
            with (tmp_path / "begun").open("a") as file:
                print(job.source, file=file)

        def code(self, inputs: Sequence[Any]) -> Sequence[Any]:
            return inputs

        def write(self, job: Job, input: Any, coded: Any) -> Outcome:
            if job.source == Path("/poison.png"):
                os.kill(os.getpid(), signal.SIGKILL)
            if job.source == Path("/bug.png"):
                raise RuntimeError("a bug")
            return Outcome(job, line=str(os.getpid()))

    sources = [Path(f"/{name}.png") for name in ("poison", "bug", *range(20))]
    done = list(cluster.outcomes([Job(source, tmp_path / source.name) for source in sources], Deadly(), actors=3))
    assert sorted(str(outcome.job.source) for outcome in done) == sorted(map(str, sources))
    assert {outcome.job.source.name: outcome.error for outcome in done if outcome.error} == {
        "poison.png": "/poison.png: its worker died 2 times",
        "bug.png": "unexpected RuntimeError: a bug",
    }
    begun = (tmp_path / "begun").read_text().splitlines()
    assert begun.count("/poison.png") == 2
    assert len(begun) == 2 + 21


class Foreign:
    """What a worker cannot have: work of a package that is not installed there."""

    def __call__(self, job: Job) -> Outcome:
        raise NotImplementedError

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return __import__, ("not_installed_there",)


@pytest.mark.usefixtures("cluster")
def test_workers_that_cannot_start(tmp_path: Path) -> None:
    from cae.cli.cluster import outcomes

    jobs = [Job(tmp_path / f"{index}.png", tmp_path / f"{index}.cae") for index in range(3)]
    with pytest.raises(Failure, match=r"no worker could be started: .*not_installed_there"):
        list(outcomes(jobs, Foreign(), actors=2))


@pytest.mark.usefixtures("cluster")
def test_resumed(cae: Run, tmp_path: Path, photo_png: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(photo_png.read_bytes())
    words = ("encode", *(tmp_path / name for name in ("a.png", "b.png", "c.png")), "--out", tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.cae").write_bytes(b"there")
    result = cae(*words, "--engine", "ray", "--jobs", 1, "--skip-existing")
    assert result.returncode == 0, result.stderr
    assert "2 files" in result.stdout
    assert "1 skipped" in result.stdout
    assert (tmp_path / "out" / "a.cae").read_bytes() == b"there"
    again = cae(*words, "--engine", "ray", "--skip-existing")
    assert "0 files" in again.stdout
