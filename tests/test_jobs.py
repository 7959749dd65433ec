"""Many files in several processes, some of which die."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cae.cli import processes
from cae.cli.jobs import plan
from cae.cli.processes import in_processes, on_this_machine
from cae.cli.work import Job, Work

WORK = """
import os, time
from cae.cli.work import Outcome

class Input:
    share = 0.3

class Threads:
    def read(self, job):
        if job.source.name == "bad":
            raise OSError("no such thing")
        return Input()

    def code(self, inputs):
        return [os.environ["OMP_NUM_THREADS"]] * len(inputs)

    def write(self, job, input, coded):
        if job.source.name == "deadly":
            os._exit(9)
        return Outcome(job, line=coded)

class Where(Threads):
    def write(self, job, input, coded):
        return Outcome(job, line=str(os.getpid()))

class Slow(Threads):
    def write(self, job, input, coded):
        job.output.write_text("begun")
        try:
            time.sleep(60)
        finally:
            job.output.write_text("cleaned up")
            time.sleep(1)
        return Outcome(job)

slow = Slow()
work = Threads()
where = Where()
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Work, in a module that other processes can import, too."""
    (tmp_path / "deadly_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)  # type: ignore[no-untyped-call]
    monkeypatch.delitem(sys.modules, "deadly_work", raising=False)
    return importlib.import_module("deadly_work")


@pytest.fixture
def work(module: ModuleType) -> Work:
    """Dies, fails, or says how many threads there are."""
    found: Work = module.work
    return found


def jobs(*names: str) -> list[Job]:
    return [Job(Path(name), Path("out")) for name in names]


def test_a_process_that_dies_fails_its_own_job_alone(work: Work) -> None:
    names = [f"good {number}" for number in range(20)]
    names[3], names[7], names[11] = "deadly", "bad", "deadly too"
    outcomes = list(in_processes(jobs(*names), work, 2))
    assert sorted(str(outcome.job.source) for outcome in outcomes) == sorted(names)
    failed = {str(outcome.job.source): outcome.error for outcome in outcomes if outcome.error}
    assert set(failed) == {"deadly", "bad"}
    assert failed["deadly"] == "deadly: its process died"


@pytest.mark.parametrize(("given", "expected"), [("8", "4"), ("1", "1")])
def test_processes_share_the_threads(work: Work, given: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    outcomes = list(in_processes(jobs("a", "b", "c"), work, 2))
    assert {outcome.line for outcome in outcomes} == {expected}


@pytest.mark.parametrize(
    ("worth", "memory", "threads", "alone"), [(1e3, 2**50, 2, 9), (0, 2**50, 2, 1), (0, 2**20, 2, 9), (0, 2**50, 1, 9)]
)
def test_processes_by_default(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, worth: float, memory: int, threads: int, alone: int
) -> None:
    """Where there is work for them, memory and threads; of nine jobs, so many are done here. One fails."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(processes, "WORTH", worth)
    monkeypatch.setattr(processes, "MEMORY", memory)
    monkeypatch.setattr(processes, "thread_count", lambda: threads)
    names = ["a", "b", "c", "bad", "d", "e", "f", "g", "h", "i"]
    outcomes = list(on_this_machine(jobs(*names), module.where, None))
    assert sorted(outcome.job.source.name for outcome in outcomes) == sorted(names)
    assert [outcome.job.source.name for outcome in outcomes if outcome.error] == ["bad"]
    assert [outcome.line for outcome in outcomes].count(str(os.getpid())) == alone


def test_an_interrupt_does_not_wait(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that would take minutes ends at once, cleans up after itself, and nothing is begun in its place."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    outputs = [tmp_path / f"{number}.out" for number in range(6)]
    begun = threading.Event()

    def interrupt() -> None:
        while sum(output.exists() for output in outputs) < 2:
            time.sleep(0.1)
        begun.set()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    outcomes = in_processes([Job(Path("a"), output) for output in outputs], module.slow, 2)
    start = time.monotonic()
    thread.start()
    with pytest.raises(KeyboardInterrupt), closing(outcomes):
        list(outcomes)
    thread.join()
    assert begun.is_set()
    assert time.monotonic() - start < 30
    assert [output.read_text() for output in outputs if output.exists()] == ["cleaned up"] * 2
    assert not multiprocessing.active_children()


def test_nothing_to_do(module: ModuleType) -> None:
    assert not list(on_this_machine([], module.work, None))


def test_folders_that_cannot_be_read_are_jobs_that_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "a.png").touch()
    scan = os.scandir

    def scandir(path: str | Path) -> Any:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    planned = plan([tmp_path], tmp_path / "out", True, {".png"}, ".cae")
    assert [job.source for job in planned] == [tmp_path / "a.png", tmp_path / "secret"]
