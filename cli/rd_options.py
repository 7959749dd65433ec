"""Values of the options of `cae rd-curve`: codecs, metrics, targets, images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .columns import wrapped
from .extras import check_extra

if TYPE_CHECKING:
    from ..codec.evaluation.images import TestImage
    from ..codec.evaluation.protocol import ImageCodec
    from ..codec.evaluation.target import Target


def list_codecs(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    """Callback of --list-codecs: prints all codecs, with what is missing for them, and ends the command."""
    if not value or ctx.resilient_parsing:
        return
    check_extra("rd-curve", "eval")
    from ..bitstream.errors import CaeError
    from ..codec.evaluation.codecs import CODECS, DEFAULT, make_codec

    for name, line in CODECS.items():
        note = " [default]" if name in DEFAULT else ""
        try:
            if not name.startswith("zoo"):
                make_codec(name)
        except CaeError as error:
            note = f" [not here: {error}]"
        click.echo("\n".join(wrapped(f"{name:10} {line}{note}", indent=11)))
    ctx.exit()


def pairs(ctx: click.Context, option: click.Parameter, words: tuple[str, ...]) -> list[tuple[str, float]]:
    """Callback of --at: (name, finite value) of each word, once. Raises click.BadParameter unless it is name=number."""
    found = []
    for word in words:
        name, _, number = word.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not name:
            raise click.BadParameter(f"{word} is not of the form ssimulacra2=70, psnr=34 or bpp=0.5")
        found.append((name, value))
    return list(dict.fromkeys(found))


def choose_metrics(words: str | None) -> list[str]:
    """The metrics of a list of names, by default the usual ones. Raises click.UsageError for an unknown one."""
    from ..codec.evaluation.metrics import DEFAULT, METRICS

    chosen = list(dict.fromkeys(words.split(","))) if words else list(DEFAULT)
    for name in chosen:
        if name not in METRICS:
            raise click.UsageError(f"there is no metric {name}; there are {', '.join(METRICS)}")
    return chosen


def check_targets(at: Sequence[tuple[str, float]], metrics: Sequence[str]) -> list[Target]:
    """The targets of --at. metrics: those that are measured. Raises click.UsageError for one that they do not allow."""
    from ..bitstream.errors import InputError
    from ..codec.evaluation.target import Target, check_target

    targets = [Target(*pair) for pair in at]
    for target in targets:
        try:
            check_target(target, metrics)
        except InputError as error:
            raise click.UsageError(f"--at {error}") from error
    return targets


def choose_images(words: str | None, found: Sequence[TestImage]) -> list[TestImage]:
    """The images that the report compares: asked for by name, or by default one of each group, or without groups three
    spread over the set. Raises click.UsageError for an unknown name."""
    if words is None:
        groups = [
            [image for image in found if image.group == name] for name in dict.fromkeys(image.group for image in found)
        ]
        if groups[0][0].group:
            return [group[len(group) // 2] for group in groups]
        return [found[index] for index in sorted({len(found) // 6, len(found) // 2, 5 * len(found) // 6})]
    chosen = []
    for word in words.split(","):
        matching = [image for image in found if word in (image.name, Path(image.name).stem)]
        if not matching:
            raise click.UsageError(f"--show {word}: no image of that name")
        chosen.append(matching[0])
    return chosen


def load_codecs(words: str | None, threads: int) -> dict[str, ImageCodec]:
    """The codecs that words ask for, by word. By default the usual ones that are installed, with a line on stderr about
    others. threads: of each. Raises UnavailableCodecError, InputError, WeightsError."""
    from ..codec.evaluation.codecs import DEFAULT
    from ..codec.evaluation.measure import load
    from ..codec.evaluation.protocol import UnavailableCodecError

    loaded = {}
    for word in dict.fromkeys(words.split(",")) if words else DEFAULT:
        try:
            loaded[word] = load(word, threads)
        except UnavailableCodecError as error:
            if words:
                raise
            click.echo(f"cae: {error}; left out", err=True)
    return loaded
