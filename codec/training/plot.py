"""Plots of a training run: its loss, its rate-distortion curve beside JPEG's and others, the health of its units."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...bitstream.errors import InputError
from ..evaluation.curve import Point
from . import report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

JPEG = "jpeg.json"
"""The file, in the folder of a run, of JPEG's curve on the images that the run is evaluated with."""

BAND_NAMES = ("lowest rates", "low", "high", "highest rates")


class Curve(NamedTuple):
    """A named rate-distortion curve."""

    codec: str
    points: list[Point]


def write_curves(path: Path, curves: Sequence[Curve]) -> None:
    """Writes a file of curves, a JSON list of {"codec", "bpp": [...], "psnr_rgb": [...]}."""
    values = [
        {"codec": curve.codec, "bpp": [p.bpp for p in curve.points], "psnr_rgb": [p.psnr for p in curve.points]}
        for curve in curves
    ]
    path.write_text(json.dumps(values, indent=1), encoding="utf-8")


def read_curves(path: Path) -> list[Curve]:
    """Reads a file of `write_curves`; other keys are ignored. Raises InputError, naming the file."""
    try:
        return [
            Curve(str(v["codec"]), [Point(*pair) for pair in zip(v["bpp"], v["psnr_rgb"], strict=True)])
            for v in json.loads(path.read_text(encoding="utf-8"))
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a file of curves: {error}") from error


def plot_run(run: Path, path: Path, anchors: Sequence[Curve] = ()) -> None:
    """Plots the log of a run, and its evaluations and health if there are any, to an image file of the kind that its
    suffix names. anchors: further curves beside that of the run. Raises InputError where there is no log."""
    from matplotlib.figure import Figure

    rows = [row for row in report.read(run / report.LOG) if "loss" in row]
    if not rows:
        raise InputError(f"there is no log of a training run in {run}")
    evaluations = report.read(run / report.EVALUATIONS)
    units = report.read(run / report.HEALTH)
    count = 1 + bool(evaluations) + 2 * bool(units)
    figure = Figure(figsize=(6.2 * min(count, 2), 4.6 * -(-count // 2)), layout="constrained")
    panels = figure.subplots(-(-count // 2), min(count, 2), squeeze=False).flatten()
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
        _label_logarithmic(curves.xaxis)
    if units:
        _draw_health(panels[-2], panels[-1], units)
    for panel in panels[1 + bool(evaluations) : len(panels) - 2 * bool(units)]:
        panel.remove()
    _label_logarithmic(loss.yaxis)
    for panel in figure.axes:
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def _label_logarithmic(axis: Axis) -> None:
    """Labels a logarithmic axis at 1, 2 and 5 times each power of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _draw_health(shares: Axes, sizes: Axes, rows: Sequence[report.Row]) -> None:
    """Plots, for each network, the share of dead units of its worst block, and its largest activations with their
    99.99th percentile."""
    steps = [row["step"] for row in rows]
    names = [key.removesuffix(" dead") for key in rows[0] if key.endswith(" dead")]
    networks: dict[str, list[str]] = {}
    for name in names:
        networks.setdefault(name.split(".")[0].replace("_", " "), []).append(name)
    for network, blocks in networks.items():
        dead = [100 * max(row[f"{block} dead"] for block in blocks) for row in rows]
        (line,) = shares.plot(steps, dead, "o-", ms=3, lw=1, label=network)
        for measure, style in (("largest", "-"), ("percentile", ":")):
            values = [max(row[f"{block} {measure}"] for block in blocks) for row in rows]
            label = network if measure == "largest" else None
            sizes.plot(steps, values, style, lw=1, color=line.get_color(), label=label)
    shares.set(xlabel="step", ylabel="%", title="Dead units of the worst block", ylim=(0, None))
    sizes.set(xlabel="step", yscale="log", title="Largest activations, and their 99.99th percentile (dotted)")
    _label_logarithmic(sizes.yaxis)
