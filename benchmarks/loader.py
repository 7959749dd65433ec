"""Whether loading limits training: steps a second with the loader against steps a second on one batch.

Usage: python benchmarks/loader.py DATA...

Prints, for each stage of the default recipe that differs in shape, both speeds and their ratio, measured in turns.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import torch

from cae.codec.machine.device import resolve_device
from cae.codec.model.arrays import Pixels
from cae.codec.model.config import ModelConfig
from cae.codec.training.loop import Trainer
from cae.codec.training.recipe import DEFAULT, load_recipe
from cae.codec.training.team import Team

WARM_UP = 5
STEPS = 30
TURNS = 3


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--device", default="auto", show_default=True)
def main(data: tuple[Path, ...], device: str) -> None:
    """Measure on images of DATA."""
    recipe, config = load_recipe(DEFAULT, ModelConfig())
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, recipe, list(data), Path(folder), Team(resolve_device(device)))
        trainer.model.train()
        for batch, crop in dict.fromkeys((stage.batch, stage.crop) for stage in recipe.stages):
            loader = trainer.prefetch(batch, crop)
            fixed = loader.next()
            measure(trainer, lambda fixed=fixed: fixed, WARM_UP)
            loaded = constant = 0.0
            for _ in range(TURNS):
                loaded += measure(trainer, loader.next, STEPS)
                constant += measure(trainer, lambda fixed=fixed: fixed, STEPS)
            loader.close()
            speeds = [TURNS * STEPS / seconds for seconds in (loaded, constant)]
            print(
                f"{batch} x {crop}: {speeds[0]:.2f} steps/s with the loader, {speeds[1]:.2f} without: "
                f"ratio {speeds[0] / speeds[1]:.3f}"
            )


def measure(trainer: Trainer, get: Callable[[], Pixels], steps: int) -> float:
    """The seconds of so many training steps. get: gives a batch."""
    begin = time.perf_counter()
    for _ in range(steps):
        trainer.train_step(get())
    if trainer.team.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
