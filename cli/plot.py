"""`cae plot`: plots of a training run."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .extras import check_extra
from .failures import NO_OUTPUT, about
from .files import check_output


@click.command()
@click.argument("run", type=options.FOLDER)
@options.output("path", options.FILE, "Image file to write: PNG, SVG or PDF.")
@click.option(
    "--anchors",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='Curves to draw beside: a JSON list of {"codec", "bpp": [...], "psnr_rgb": [...]}.',
)
def plot(run: Path, path: Path, anchors: Path | None) -> None:
    """Draw the loss of the training run RUN, and what its evaluations reached."""
    check_extra("plot", "train")
    options.check_suffix(path, ".png", ".svg", ".pdf")
    with about(path, NO_OUTPUT):
        check_output(path, run)
    from ..codec.training.plot import plot_run, read_curves

    plot_run(run, path, read_curves(anchors) if anchors else [])
