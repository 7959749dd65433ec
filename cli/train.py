"""`cae train`: trains a model on images."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options
from .extras import check_extra
from .progress import clock

if TYPE_CHECKING:
    from ..codec.training.report import Row

DECAY_MINUTES = 60.0


@click.command()
@click.argument("data", metavar="DATA...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@options.output(
    "run",
    click.Path(file_okay=False, path_type=Path),
    "Folder of the run; one that is there already is continued.",
    "RUN",
)
@click.option(
    "--recipe",
    "recipe_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file of stages; that of the shipped weights by default.",
)
@click.option(
    "--ms-ssim",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    callback=options.finite,
    help="Share of MS-SSIM in the distortion, beside the mean squared error; instead of the recipe's.",
)
@click.option("--seed", type=int, help="Seed of all that is random; instead of the recipe's.")
@click.option(
    "--from",
    "weights",
    metavar="WEIGHTS",
    type=click.Path(exists=True, path_type=Path),
    help="Weights to begin with: a weights folder or a file in one. Those with fewer latent channels than the recipe "
    "wants get more.",
)
@click.option(
    "--decay-from",
    "stable",
    metavar="RUN",
    type=options.FOLDER,
    help="End another run, one whose recipe has no end: begin with its last state and bring the learning rate to 0.",
)
@click.option(
    "--minutes",
    metavar="N",
    type=click.FloatRange(min=0, min_open=True),
    callback=options.finite,
    help="Minutes that --decay-from takes; 60 by default.",
)
@click.option(
    "--eval", "images", metavar="DIR", type=options.FOLDER, help="Images to evaluate on and choose the best weights by."
)
@click.option(
    "--eval-every",
    metavar="STEPS",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    help="Steps between two evaluations.",
)
@click.option(
    "--patience", metavar="N", type=click.IntRange(min=1), help="Stop after N evaluations without a better one."
)
@click.option(
    "--split", metavar="MIB", type=click.IntRange(min=1), help="Split checkpoints into files of at most so many MiB."
)
@click.option(
    "--compile", "compiled", is_flag=True, help="Compile the model with torch.compile: slow to start, faster."
)
@click.option(
    "--precision",
    type=click.Choice(["bfloat16", "float32"]),
    help="Precision of the networks; by default the one that the processor is faster in.",
)
@click.option("--overfit-check", is_flag=True, help="Only see whether the model can learn a single batch by heart.")
@options.training_device
@options.threads
def train(
    data: tuple[Path, ...],
    run: Path,
    recipe_file: Path | None,
    ms_ssim: float | None,
    seed: int | None,
    weights: Path | None,
    stable: Path | None,
    minutes: float | None,
    images: Path | None,
    eval_every: int,
    patience: int | None,
    split: int | None,
    compiled: bool,
    precision: str | None,
    overfit_check: bool,
    device: str,
    threads: int | None,
) -> None:
    """Train a model on DATA: images, folders of images, tar archives of images, also ones that come later.

    Ctrl-C saves the run; the same command continues it. Start it by torchrun to use several GPUs or machines."""
    check_extra("train", "train")
    import torch

    from ..codec.machine.device import resolve_device
    from ..codec.model.config import ModelConfig
    from ..codec.training import overfit, recipe, release, state
    from ..codec.training.loop import Trainer
    from ..codec.training.precision import PRECISIONS
    from ..codec.training.restoration import RestorationTrainer
    from ..codec.training.team import Team
    from ..codec.training.validate import Selection, Validation

    if patience and not images:
        raise click.UsageError("--patience needs --eval")
    if minutes is not None and stable is None:
        raise click.UsageError("--minutes needs --decay-from")
    if stable and (recipe_file or weights):
        raise click.UsageError("--decay-from has the weights and the recipe of its run: no --from or --recipe")
    if threads is not None:
        torch.set_num_threads(threads)
    part_bytes = split << 20 if split else state.UNSPLIT
    if stable and not state.find_state(run / state.CHECKPOINT):
        state.begin_decay(stable, run, minutes or DECAY_MINUTES, part_bytes)
    found = state.find_state(run / state.CHECKPOINT)
    start = origin = None
    if found:
        plan, config = recipe.stored(state.load_state(found)[1])
    elif weights:
        start, origin = release.load_start(weights)
        config = start.config
    else:
        config = ModelConfig()
    if recipe_file or not found:
        plan, config = recipe.load_recipe(recipe_file or recipe.DEFAULT, config)
    changes = {key: value for key, value in (("ms_ssim", ms_ssim), ("seed", seed)) if value is not None}
    plan = dataclasses.replace(plan, **changes)  # type: ignore[arg-type]
    if overfit_check:
        plan = dataclasses.replace(overfit.RECIPE, ms_ssim=plan.ms_ssim, seed=plan.seed)
    with Team(resolve_device(device)) as team:
        selection = None
        if images and team.rank == 0:
            selection = Selection(Validation(images), every=eval_every, patience=patience, part_bytes=part_bytes)
        trainer = (RestorationTrainer if plan.restores else Trainer)(
            config,
            plan,
            list(data),
            run,
            team,
            start=start,
            origin=origin,
            selection=selection,
            part_bytes=part_bytes,
            compiled=compiled,
            precision=PRECISIONS[precision] if precision else None,
        )
        if overfit_check:
            first, last = overfit.check(trainer)
            passed = last < overfit.SHARE * first
            click.echo(f"loss {first:.3f} -> {last:.3f}: {'passed' if passed else 'FAILED'}")
            if not passed:
                raise click.exceptions.Exit(1)
        else:
            stopped = trainer.train(_Display() if team.rank == 0 else lambda *_: None)
            if stopped:
                raise click.exceptions.Exit(128 + stopped)


class _Display:
    """Prints reports of a run: rows of the log as lines, or on a terminal as one line that is overwritten."""

    def __init__(self) -> None:
        self._terminal = sys.stdout is not None and sys.stdout.isatty()
        self._pending = False

    def __call__(self, news: Row | str, left: float) -> None:
        if isinstance(news, str):
            click.echo(("\n" if self._pending else "") + news)
            self._pending = False
        elif self._terminal:
            line = _line(news, left)[: shutil.get_terminal_size().columns - 1]
            click.echo("\r\x1b[K" + line, nl=False)
            self._pending = True
        else:
            click.echo(_line(news, left))
        if sys.stdout is not None:
            sys.stdout.flush()


def _line(row: Row, left: float) -> str:
    done = row["seconds"] / max(row["seconds"] + left, 1e-9)
    bar = "#" * round(10 * done)
    words = [f"[{bar:.<10}] {100 * done:.0f} %", f"step {row['step']:.0f}"]
    if "loss" in row:
        bands = " ".join(f"{row[key]:.2f}" for key in sorted(row) if key.startswith("loss_"))
        words += [f"loss {row['loss']:.4f} ({bands})", f"{row['bpp']:.3f} bpp", f"{row['psnr']:.2f} dB"]
    words += [f"gradient {row['gradient']:.2g}", f"{row['crops_per_second']:.0f} crops/s"]
    words += [f"{clock(left)} left"]
    if row["skipped"]:
        words.append(f"{row['skipped']:.0f} steps skipped: gradient not finite or too large")
    return "  ".join(words)
