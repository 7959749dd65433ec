"""A run as a picture: the loss over its steps, and what its weights reach against JPEG and other curves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...bitstream.errors import InputError
from ..evaluation.curve import Point
from . import report

JPEG = "jpeg.json"
"""File of a run: JPEG's curve on the images it is evaluated with."""

BAND_NAMES = ("lowest rates", "low", "high", "highest rates")


class Curve(NamedTuple):
    """A named rate-distortion curve."""

    codec: str
    points: list[Point]


def write_curves(path: Path, curves: Sequence[Curve]) -> None:
    """A JSON list of {"codec", "bpp": [...], "psnr_rgb": [...]}."""
    values = [
        {"codec": curve.codec, "bpp": [p.bpp for p in curve.points], "psnr_rgb": [p.psnr for p in curve.points]}
        for curve in curves
    ]
    path.write_text(json.dumps(values, indent=1), encoding="utf-8")


def read_curves(path: Path) -> list[Curve]:
    """Inverse of `write_curves`; other keys are ignored. Raises InputError, naming the file."""
    try:
        return [
            Curve(str(v["codec"]), [Point(*pair) for pair in zip(v["bpp"], v["psnr_rgb"], strict=True)])
            for v in json.loads(path.read_text(encoding="utf-8"))
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a file of curves: {error}") from error


def plot_run(run: Path, path: Path, anchors: Sequence[Curve] = ()) -> None:
    """Draws the run's log, and its evaluations if there are any, into an image file of the kind its suffix says.

    Raises InputError where there is no log.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    rows = [row for row in report.read(run / report.LOG) if "loss" in row]
    if not rows:
        raise InputError(f"there is no log of a training run in {run}")
    evaluations = report.read(run / report.EVALUATIONS)
    figure = Figure(figsize=(12 if evaluations else 6.4, 4.6), layout="constrained")
    panels = figure.subplots(1, 2 if evaluations else 1, squeeze=False)[0]
    loss = panels[0]
    steps = [row["step"] for row in rows]
    for band, name in enumerate(BAND_NAMES):
        points = [(row["step"], row[f"loss_{band}"]) for row in rows if f"loss_{band}" in row]
        loss.plot(*zip(*points, strict=True), lw=0.8, alpha=0.6, label=name)
    loss.plot(steps, [row["loss"] for row in rows], color="black", lw=1.4, label="all")
    loss.set(xlabel="step", ylabel="loss", yscale="log", title="Training loss by rate")
    if evaluations:
        curves = panels[1]
        last = max(row["step"] for row in evaluations)
        first = min(row["step"] for row in evaluations)
        for anchor in [*(read_curves(run / JPEG) if (run / JPEG).exists() else []), *anchors]:
            points = [(p.bpp, p.psnr) for p in sorted(anchor.points)]
            curves.plot(*zip(*points, strict=True), lw=1, alpha=0.8, label=anchor.codec)
        for step, style in ((first, ":"), (last, "-")) if last > first else ((last, "-"),):
            points = [(row["bpp"], row["psnr"]) for row in evaluations if row["step"] == step]
            curves.plot(*zip(*points, strict=True), "o" + style, color="black", ms=3, label=f"step {step:.0f}")
        delta = next((row["bd_rate"] for row in evaluations if row["step"] == last and "bd_rate" in row), None)
        title = "Rate and distortion" + (f": BD-rate {delta:+.1f} % against JPEG" if delta is not None else "")
        curves.set(xlabel="bits per pixel", ylabel="PSNR, dB", xscale="log", title=title)
        curves.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        curves.xaxis.set_major_formatter("{x:g}")
        curves.xaxis.set_minor_formatter(NullFormatter())
    loss.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    loss.yaxis.set_major_formatter("{x:g}")
    loss.yaxis.set_minor_formatter(NullFormatter())
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    figure.savefig(path, dpi=120)
