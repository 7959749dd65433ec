"""Reports of a training run: means between two of them, and the CSV files that they are kept in."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from .loss import Loss

BANDS = 4
"""The number of bands that the range of rates is reported in, from the lowest to the highest."""

LOG = "log.csv"
EVALUATIONS = "evaluations.csv"
HEALTH = "health.csv"
"""Files in the folder of a run."""

Row = dict[str, float]


class Means:
    """Running means over the steps between two reports."""

    def __init__(self) -> None:
        self.steps = 0
        self._losses: list[tuple[torch.Tensor, Loss]] = []

    def add(self, t: torch.Tensor, loss: Loss | None) -> None:
        """Takes in one step; None for one that was skipped. t: float32 [B], the rates of the samples."""
        self.steps += 1
        if loss is not None:
            self._losses.append((t, loss))

    def row(self) -> Row:
        """The means, over all rates, as columns of the log; none where all steps were skipped."""
        row: Row = {"skipped": self.steps - len(self._losses)}
        if not self._losses:
            return row
        t, samples, bpp, mse = (
            torch.cat(parts).float().cpu()
            for parts in zip(*((t, loss.samples, loss.bpp, loss.mse) for t, loss in self._losses), strict=True)
        )
        row |= {
            "loss": float(samples.mean()),
            "bpp": float(bpp.mean()),
            "psnr": float(-10 * mse.clamp(min=1e-10).log10().mean()),
        }
        band = (t * BANDS).long().clamp(max=BANDS - 1)
        for index in range(BANDS):
            if (band == index).any():
                row[f"loss_{index}"] = float(samples[band == index].mean())
        return row


COLUMNS = [
    *("step", "seconds", "stage", "learning_rate", "loss"),
    *(f"loss_{band}" for band in range(BANDS)),
    *("bpp", "psnr", "gradient", "skipped", "crops_per_second", "waiting"),
]
"""The columns of the log. `gradient` is the median norm; `waiting` the share of the time spent waiting for a batch."""

EVALUATION_COLUMNS = ["step", "t", "bpp", "psnr", "bd_rate"]


def append(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, float]]) -> None:
    """Adds rows to a CSV file, with a head line where it is new."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        if new:
            writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})


def read(path: Path) -> list[Row]:
    """Reads the rows of a file of `append`, without empty cells; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def forget_after(run: Path, health_columns: Sequence[str], step: int) -> None:
    """Drops the rows beyond `step`, from which a resumed run goes on, from the files in its folder."""
    columns = {LOG: COLUMNS, EVALUATIONS: EVALUATION_COLUMNS, HEALTH: health_columns}
    for name, own in columns.items():
        rows = read(run / name)
        kept = [row for row in rows if row["step"] <= step]
        if len(kept) < len(rows):
            (run / name).unlink()
            append(run / name, own, kept)
