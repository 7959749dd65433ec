"""`cae freeze`: a training run to the weights that the codec uses."""

from __future__ import annotations

from pathlib import Path

import click

from .train import data


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@data
@click.option(
    "--out",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Weights folder to write.",
)
@click.option("--name", default="cae", show_default=True, help="Name of the weights file in it.")
def freeze(run: Path, data: tuple[Path, ...], folder: Path, name: str) -> None:
    """Make a weights folder of the training run RUN; DATA, the training images, calibrates it."""
    from ..codec.training.release import release

    path = release(run, data, folder, name)
    click.echo(f"{path}: {path.stat().st_size:,} bytes")
