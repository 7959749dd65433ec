"""Many files in several processes, some of which die."""

from __future__ import annotations

import importlib
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cae.cli import processes
from cae.cli.failures import TERMINATED
from cae.cli.jobs import plan
from cae.cli.processes import in_processes, on_this_machine
from cae.cli.work import Job, Work
from cae.codec.machine import memory

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

class Uneven(Where):
    def write(self, job, input, coded):
        time.sleep(0.1 if job.source.name.startswith("slow") else 0.0005)
        return super().write(job, input, coded)

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
uneven = Uneven()
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
    ("worth", "most", "alone"), [(1e3, 2, 11), (0, 2, 2), (0, 1, 11)], ids=["no work for them", "work", "one thread"]
)
def test_processes_by_default(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, worth: float, most: int, alone: int
) -> None:
    """Where there is work for them; of eleven jobs that do not fail, so many are done here: those of the first while,
    in which two fit."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(processes, "WORTH", max(worth, 1e-9))
    monkeypatch.setattr(processes, "default_processes", lambda: most)
    clock = itertools.count(step=processes.TRIAL / 3)
    monkeypatch.setattr(processes.time, "perf_counter", lambda: next(clock))
    names = ["a", "b", "c", "bad", "d", "e", "f", "g", "h", "i", "j", "k"]
    outcomes = list(on_this_machine(jobs(*names), module.where, None))
    assert sorted(outcome.job.source.name for outcome in outcomes) == sorted(names)
    assert [outcome.job.source.name for outcome in outcomes if outcome.error] == ["bad"]
    assert [outcome.line for outcome in outcomes].count(str(os.getpid())) == alone


def test_slow_files_after_many_quick_ones(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the quick ones take says nothing of them."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(processes, "default_processes", lambda: 2)
    monkeypatch.setattr(processes, "TRIAL", 0.2)
    monkeypatch.setattr(processes, "WORTH", 1.0)
    names = [*(f"quick {number}" for number in range(500)), *(f"slow {number}" for number in range(40))]
    outcomes = list(on_this_machine(jobs(*names), module.uneven, None))
    assert sorted(outcome.job.source.name for outcome in outcomes) == sorted(names)
    slow = [outcome.line for outcome in outcomes if outcome.job.source.name.startswith("slow")]
    assert len(set(slow)) == 3
    assert slow.count(str(os.getpid())) < 20


@pytest.mark.parametrize(
    ("threads", "memory", "expected"),
    [(1, 64, 1), (2, 24, 2), (2, 3, 1), (16, 64, 16), (16, 16, 8), (32, 38, 16), (31, 38, 15), (8, 1, 1), (7, 8, 3)],
)
def test_each_process_has_threads_and_memory(
    monkeypatch: pytest.MonkeyPatch, threads: int, memory: int, expected: int
) -> None:
    monkeypatch.setattr(processes, "thread_count", lambda: threads)
    monkeypatch.setattr(processes, "machine_memory", lambda: memory * 2**30)
    assert processes.default_processes() == expected


def test_one_process_where_there_can_be_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    class Context:
        def Lock(self) -> None:
            raise OSError(38, "Function not implemented")

    monkeypatch.setattr(processes.multiprocessing, "get_context", lambda method: Context())
    monkeypatch.setattr(processes, "thread_count", lambda: 16)
    assert processes.default_processes() == 1


def test_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "CONTAINER", tmp_path / "memory.max")
    machine = memory.machine_memory()
    assert machine > 2**28
    for text, expected in (("max\n", machine), ("1073741824\n", min(machine, 2**30))):
        memory.CONTAINER.write_text(text)
        assert memory.machine_memory() == expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills")
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """Even if that is killed."""
    (tmp_path / "long_work.py").write_text(WORK)
    code = (
        "from pathlib import Path; from long_work import slow; from cae.cli.processes import in_processes\n"
        "from cae.cli.work import Job\n"
        "if __name__ == '__main__':\n"
        "    list(in_processes([Job(Path('a'), Path(name)) for name in 'xy'], slow, 2))\n"
    )
    (tmp_path / "run.py").write_text(code)
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "run.py"], cwd=tmp_path, env=environment)
    try:
        wait_for(lambda: (tmp_path / "x").exists() and (tmp_path / "y").exists())
        workers = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    finally:
        parent.kill()
        parent.wait()
    assert len(workers) >= 2
    wait_for(lambda: not any(is_running(pid) for pid in workers))


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_running(pid: str) -> bool:
    """Not as a zombie, either."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _ended_between_parts() -> None:
    signal.signal(signal.SIGTERM, processes._exit)
    try:
        signal.raise_signal(signal.SIGTERM)
    except BaseException:  # as the executor does, which then sends it
        time.sleep(60)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_process_between_parts_ends_without_an_exception() -> None:
    """The executor would wait with it for a lock that the process may hold."""
    process = multiprocessing.get_context("fork").Process(target=_ended_between_parts)
    process.start()
    process.join(20)
    assert process.exitcode == TERMINATED


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
    planned, _ = plan([tmp_path], tmp_path / "out", True, {".png"}, ".cae")
    assert [job.source for job in planned] == [tmp_path / "a.png", tmp_path / "secret"]
