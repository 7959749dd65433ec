"""`cae freeze`: makes the weights that the codec uses from a training run."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .extras import check_extra
from .failures import NO_OUTPUT, about
from .files import check_output


@click.command()
@click.argument("run", type=options.FOLDER)
@options.output(
    "path",
    click.Path(dir_okay=False, path_type=Path),
    "Weights file to write; the manifest beside it will name it.",
    "FILE.safetensors",
)
@click.option(
    "--data",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Images to calibrate with, if not what the run was trained on.",
)
def freeze(run: Path, path: Path, data: tuple[Path, ...]) -> None:
    """Make a weights file of the training run RUN: the best weights evaluated, or else the last."""
    check_extra("freeze", "train")
    if path.suffix != ".safetensors":
        raise click.UsageError(f"the weights file must end in .safetensors, not {path.name!r}")
    from ..codec.training.release import release

    if path.parent.exists():  # a missing one will be made
        with about(path, NO_OUTPUT):
            check_output(path, run)
    for line in release(run, path, data):
        click.echo(line)
    click.echo(f"{path}: {path.stat().st_size:,} bytes")
