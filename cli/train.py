"""`cae train`: images to a model."""

from __future__ import annotations

from pathlib import Path

import click

from . import options

data = click.argument("data", metavar="DATA...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))


@click.command()
@data
@click.option(
    "--out",
    "run",
    metavar="RUN",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the checkpoint; a run that is there already is continued.",
)
@click.option("--steps", required=True, type=click.IntRange(min=1), help="Length of the run, over all continuations.")
@click.option("--seed", default=0, show_default=True)
@options.device
@options.threads
def train(data: tuple[Path, ...], run: Path, steps: int, seed: int, device: str, threads: int | None) -> None:
    """Train a model on DATA: images, folders of images, tar archives of images."""
    import torch

    from ..codec.config import ModelConfig
    from ..codec.pipeline import resolve_device
    from ..codec.training.loop import Schedule, Trainer

    if threads is not None:
        torch.set_num_threads(threads)
    Trainer(ModelConfig(), Schedule(steps=steps, seed=seed), list(data), run, resolve_device(device)).train()
