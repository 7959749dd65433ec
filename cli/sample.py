"""`cae sample`: pictures that the model draws, to see what it believes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ..codec.machine.files import write_file
from .failures import BAD_CAE_FILE, NO_OUTPUT, about, say
from .files import check_output, read_input
from .options import FILE, finite, max_pixels, quality

if TYPE_CHECKING:
    from ..codec.image.picture import Picture

KEPT = {"hyper": 0, "1": 1, "2": 2, "3": 3}
"""Values of --keep, and the context steps that each keeps beside the hyper-latents."""

DRAWN = {"seed", "temperature"}
WAYS = {"size": {"size", "quality", *DRAWN}, "pair": {"pair", "frames", "folder"}, "": {"keep", *DRAWN}}
"""The options that go together: those with --size, those with --between, and those with a file."""


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Callback of --size: width and height in pixels. Raises BadParameter."""
    if value is None:
        return None
    if not re.fullmatch(r"0*[1-9]\d{0,6}x0*[1-9]\d{0,6}", value):
        raise click.BadParameter(f"{value!r} is not WIDTHxHEIGHT in pixels, such as 512x384", ctx, param)
    width, height = map(int, value.split("x"))
    return width, height


@click.command()
@click.argument("paths", metavar="[IN] OUT", nargs=-1, type=FILE)
@click.option(
    "--keep",
    type=click.Choice(list(KEPT)),
    default="hyper",
    show_default=True,
    help="What stays of the file IN: its hyper-latents, or the first 1, 2 or 3 of its four steps of latents, too.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    metavar="N",
    default=0,
    show_default=True,
    help="Another number, another picture; the same one, the same picture on every machine.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    callback=finite,
    metavar="T",
    default=1,
    show_default=True,
    help="0 takes what is most probable, 1 draws as the model believes, more is wilder.",
)
@click.option("--size", callback=_size, metavar="WxH", help="Draw a whole picture of this size, without a file IN.")
@quality(help="With --size: of which quality's files it is drawn.")
@click.option(
    "--between",
    "pair",
    nargs=2,
    type=FILE,
    metavar="A B",
    help="Go from one file to another, of equal size and quality.",
)
@click.option(
    "--frames",
    type=click.IntRange(2, 10_000),
    metavar="N",
    default=9,
    show_default=True,
    help="With --between: how many pictures, both ends included.",
)
@click.option(
    "--out",
    "-o",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="With --between: where frame-1.png and so on go; it is made where it is missing.",
)
@max_pixels
@click.pass_context
def sample(
    ctx: click.Context,
    paths: Sequence[Path],
    keep: str,
    seed: int,
    temperature: float,
    size: tuple[int, int] | None,
    quality: float,
    pair: tuple[Path, Path] | None,
    frames: int,
    folder: Path | None,
    max_pixels: int,
) -> None:
    """Draw a picture from the model's probabilities: what is left open of the file IN (.cae), or all of it.

    Or show pictures between those of two files. IN "-" is standard input."""
    way = "pair" if pair else "size" if size else ""
    _check(ctx, way)
    if pair:
        if paths or folder is None:
            raise click.UsageError("--between A B takes -o FOLDER, and no other files")
        _between(pair, frames, folder, max_pixels)
        return
    if len(paths) != (1 if size else 2):
        raise click.UsageError("give OUT alone with --size, else IN and OUT")
    _drawn(paths, size, KEPT[keep], quality, seed, temperature, max_pixels)


def _check(ctx: click.Context, way: str) -> None:
    """Raises UsageError for an option that has no meaning beside the others."""
    for param in ctx.command.params:
        given = ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        if given and param.name not in WAYS[way] | {"paths", "max_pixels"}:
            beside = {"pair": " with --between", "size": " with --size"}.get(way, " here")
            raise click.UsageError(f"{max(param.opts, key=len)} means nothing{beside}")


def _drawn(
    paths: Sequence[Path],
    size: tuple[int, int] | None,
    kept: int,
    quality: float,
    seed: int,
    temperature: float,
    max_pixels: int,
) -> None:
    """Draws a picture, from the file that comes first in `paths` unless a size is given, and writes it to the last."""
    from ..bitstream.header import read_header
    from ..codec.image.save import output_format
    from ..codec.sampling import sample
    from ..codec.select import load_decoder, load_on_cpu

    source, out = paths[0], paths[-1]
    with about(out, NO_OUTPUT):
        output_format(out)
        if not size:
            check_output(out, source)
    if size:
        picture = sample.made_up(load_on_cpu(), *size, quality, seed, temperature, max_pixels)
    else:
        with about(source, BAD_CAE_FILE):
            data = read_input(source)
            header = read_header(data)
        with about(source):
            codec = load_decoder("cpu", header)
            picture = sample.redrawn(codec, data, kept, seed, temperature, max_pixels)
    _write(picture, out)


def _between(pair: tuple[Path, Path], frames: int, folder: Path, max_pixels: int) -> None:
    """Writes the pictures between those of two files."""
    from ..bitstream.header import read_header
    from ..codec.sampling import sample
    from ..codec.select import load_decoder

    files = []
    for path in pair:
        with about(path, BAD_CAE_FILE):
            files.append(read_input(path))
            header = read_header(files[-1])
    names = " and ".join(map(str, pair))
    with about(names):
        pictures = sample.between(load_decoder("cpu", header), files[0], files[1], frames, max_pixels)
        for number, picture in enumerate(pictures, 1):
            if number == 1:
                with about(folder, NO_OUTPUT):
                    folder.mkdir(parents=True, exist_ok=True)
            _write(picture, folder / f"frame-{number:0{len(str(frames))}}.png")


def _write(picture: Picture, out: Path) -> None:
    """Writes a picture in the format of the name, and says so."""
    from ..codec.image.save import output_format, save_picture

    with about(out, NO_OUTPUT):
        file = BytesIO()
        notes = save_picture(picture, file, output_format(out))
        write_file(out, file.getvalue())
    for note in (*picture.notes, *notes):
        say(f"{out}: {note}")
    click.echo(f"{out}: {picture.width}x{picture.height} {picture.mode}, {file.tell():,} bytes")
