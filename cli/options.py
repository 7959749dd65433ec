"""The options that several commands share, and what they amount to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..bitstream.limits import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from ..codec.pipeline import Codec

# Nothing is checked here: whether a file can be read shows when it is, and has an exit code of its own.
FILE = click.Path(path_type=Path, readable=False)

device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the networks run; auto takes a GPU if there is one.",
)
threads = click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads; one for each core by default."
)
folder = click.option(
    "--out",
    "-o",
    "folder",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the outputs of any number of inputs; it is made where it is missing.",
)
recursive = click.option("-r", "--recursive", is_flag=True, help="Take folders with all their subfolders.")
jobs = click.option(
    "--jobs",
    "processes",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="Processes for many files; the CPU threads are divided among them.",
)
skip_existing = click.option("--skip-existing", is_flag=True, help="Leave out inputs whose output is there already.")
quiet = click.option("--quiet", is_flag=True, help="No report and no notes; errors are still shown.")


max_pixels = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    metavar="N",
    default=DEFAULT_MAX_PIXELS,
    show_default=True,
    help="Refuse larger images before anything is allocated for them.",
)


def load_codec(device: str, threads: int | None, fingerprint: bytes | None = None) -> Codec:
    """The codec with the weights of this fingerprint, or those for new files if None. Raises WeightsError, or
    InputError for a missing device."""
    # Imported here, not above: this takes a second, and `cae --help` has no use for it.
    import torch

    from ..codec.pipeline import load_codec

    if threads is not None:
        torch.set_num_threads(threads)
    return load_codec(device, fingerprint)
