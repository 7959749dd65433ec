"""A run of two processes, as torchrun starts it, on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

SCRIPT = """
import os, signal, sys
from pathlib import Path
import torch, torch.distributed as dist
from cae.codec.model.config import ModelConfig
from cae.codec.training.loop import Trainer
from cae.codec.training.recipe import Recipe, Stage
from cae.codec.training.team import Team

small = ModelConfig(latent_channels=32, width_8=16, width_16=16, hyper_channels=8, prior_width=16, knots=5)
recipe = Recipe((Stage(crop=64, batch=2, learning_rate=2e-3, steps=1000),))
with Team("cpu") as team:
    trainer = Trainer(small, recipe, [Path(sys.argv[1])], Path(sys.argv[2]), team)
    step = trainer.train_step

    def train_step(pixels):
        if team.rank == 1 and trainer.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(pixels)

    trainer.train_step = train_step
    trainer.train(lambda news, left: print(team.rank, news, flush=True))
    sums = torch.stack([p.detach().double().sum() for p in trainer.model.parameters()])
    all_sums = [torch.empty_like(sums) for _ in range(2)]
    dist.all_gather(all_sums, sums)
    same = "same" if torch.equal(*all_sums) else "other"
    Path(sys.argv[2], f"{team.rank}.txt").write_text(f"{same} weights at step {trainer.step}")
"""


@pytest.mark.slow
def test_two_processes_train_one_model_and_stop_together(tmp_path: Path) -> None:
    data, run, script = tmp_path / "data", tmp_path / "run", tmp_path / "script.py"
    data.mkdir()
    Image.fromarray(skimage.data.astronaut()).save(data / "photo.png")  # type: ignore[no-untyped-call]
    script.write_text(SCRIPT)
    result = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script, data, run],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    assert [(run / f"{rank}.txt").read_text() for rank in range(2)] == ["same weights at step 4"] * 2
    assert (run / "checkpoint" / "state.json").is_file()
    assert "2 x cpu" in (run / "checkpoint" / "state.json").read_text()
