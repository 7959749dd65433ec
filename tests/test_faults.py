"""Killed, terminated, interrupted, on a full disk: nothing is lost. benchmarks/faults.py does the same more often."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "faults.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks and sends signals")
def test_nothing_is_lost() -> None:
    command = [sys.executable, "-W", "ignore", str(SCRIPT), "--kills", "20"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "SIGKILL x 20" in run.stdout
    assert run.stdout.endswith("lost: 0\n")
    assert "File too large" in run.stdout
