"""The arguments and options that several commands share, and the engine that they choose."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click

from ..bitstream.limits import DEFAULT_MAX_PIXELS
from ..codec.encode.options import EncodeOptions
from . import jobs
from .processes import on_this_machine, use_threads
from .remote import Place, place

Command = TypeVar("Command", bound=Callable[..., Any])

# click must not check whether a file can be read: reading it does, with an exit code of its own.
FILE = click.Path(path_type=Path, readable=False)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def _place(ctx: click.Context, param: click.Parameter, value: str | None) -> Place | None:
    try:
        return None if value is None else place(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def _places(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[Place | None, ...]:
    for value in values:
        if value.endswith("/") and "://" not in value and not Path(value).is_dir():
            raise click.BadParameter(f"{value!r} is not a folder", ctx, param)
    return tuple(_place(ctx, param, value) for value in values)


def finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Callback of fractional numbers, which click reads "nan" as, in any range. Raises BadParameter for it."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number", ctx, param)
    return value


def _set_threads(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    """Callback of --threads: sets their number before numpy and torch are imported, which look then."""
    if value is not None:
        use_threads(value)
    return value


def check_suffix(path: Path, *suffixes: str) -> None:
    """Raises UsageError where the name of an output ends in none of these."""
    if path.suffix.lower() not in suffixes:
        raise click.UsageError(f"{path}: the name must end in {' or '.join(suffixes)}")


sources = click.argument(
    "sources", metavar="IN... [OUT]", nargs=-1, required=True, type=click.Path(readable=False), callback=_places
)
_pictures = click.argument(
    "sources", metavar="IN...", nargs=-1, required=True, type=click.Path(readable=False), callback=_places
)
_device = functools.partial(
    click.option, "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
device = _device(
    help="Where the networks run. auto: on a GPU, if there is one and torch, for more than 16 megapixels in all, or "
    "else on the CPU."
)
training_device = _device(help="Where to train; auto takes a GPU if there is one.")
threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    callback=_set_threads,
    is_eager=True,  # before another option's callback imports numpy
    metavar="N",
    help="CPU threads; one for each core by default.",
)
quality = functools.partial(
    click.option,
    "-q",
    "--quality",
    type=click.FloatRange(0, 100),
    callback=finite,
    metavar="Q",
    default=EncodeOptions.quality,
    show_default=True,
)
"""An option for a quality; takes its `help`."""

folder = click.option(
    "--out",
    "-o",
    "folder",
    metavar="FOLDER",
    type=click.Path(file_okay=False),
    callback=_place,
    help="Folder for the outputs of any number of inputs, a path or a URL; it is made where it is missing.",
)


def output(name: str, type: click.Path, help: str, metavar: str | None = None) -> Callable[[Command], Command]:
    """A required option --out."""
    return click.option("--out", "-o", name, metavar=metavar, required=True, type=type, help=help)


recursive = click.option("-r", "--recursive", is_flag=True, help="Take folders with all their subfolders.")
processes = click.option(
    "--jobs",
    "processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes for many files, among which the CPU threads are divided. By default, if the files take more than a "
    "few seconds, one for each thread and 2 GB of memory, but only one where there may be a GPU; with --engine ray as "
    "many as the cluster has CPUs.",
)
engine = click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where many files are worked on: here, or by the Ray cluster at RAY_ADDRESS (without that, one of its own).",
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


def choose_engine(name: str, processes: int | None, threads: int | None, device: str) -> jobs.Engine:
    """The engine for the values of --engine, --jobs, --threads and --device. Raises UsageError where ray is missing."""
    if name == "local":
        from ..codec.select import may_take_gpu  # not above: it imports numpy

        # One process where there may be a GPU, which several would have to share.
        return functools.partial(on_this_machine, processes=processes or (1 if may_take_gpu(device) else None))
    if find_spec("ray") is None:
        raise click.UsageError(
            '--engine ray needs the extra "ray", to be installed as the package was: pip install ".[ray]"'
        )
    from . import cluster

    return functools.partial(cluster.outcomes, actors=processes, threads=threads, gpu=device == "cuda")


def _together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """A decorator that adds several options to a command; help lists them in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


pictures = _together(_pictures, recursive)
describing = _together(processes, device, threads, max_pixels, quiet)
inputs = _together(sources, folder, recursive)
running = _together(engine, processes, skip_existing, device, threads, max_pixels, quiet)
