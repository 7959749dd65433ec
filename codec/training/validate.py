"""Validation of a model in training on whole images, by rounded latents and estimated bits; the best weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...bitstream.errors import InputError
from ..evaluation.codecs import make_codec
from ..evaluation.curve import Point, bd_rate, mean_point
from ..evaluation.measure import rd_point
from ..model.arrays import Pixels
from ..model.config import HYPER_PATCH
from . import report, state
from .data import decode_image, list_files, read_images
from .model.model import CompressionModel
from .plot import JPEG, Curve, write_curves

BEST = "best"
"""The folder, in that of a run, of the best weights."""

JPEG_QUALITIES = range(5, 100, 5)

RATES = tuple(float(t) for t in np.linspace(0, 1, 8))
"""Rates, on the scale from 0 to 1, that a model is evaluated at."""


class Validation:
    """Images, cut to multiples of 64 pixels, and JPEG's curve on them. Raises InputError where there are none."""

    def __init__(self, folder: Path) -> None:
        self._images: list[Pixels] = []
        for path in list_files(folder):
            for name, data in read_images(path):
                pixels = decode_image(data, name)
                height, width = (side // HYPER_PATCH * HYPER_PATCH for side in pixels.shape[:2])
                if height and width:
                    self._images.append(pixels[:height, :width])
        if not self._images:
            raise InputError(f"no image of at least {HYPER_PATCH} pixels a side in {folder}")
        jpeg = make_codec("jpeg")
        self.jpeg = [
            mean_point([rd_point(jpeg, image, quality) for image in self._images]) for quality in JPEG_QUALITIES
        ]

    @torch.no_grad()
    def run(self, model: CompressionModel) -> tuple[list[Point], float | None]:
        """The mean points of a model at RATES, and their BD-rate against JPEG in percent, None where the curves do not
        overlap.

        The model must be in evaluation mode. Bits are those of its Laplace distributions: the shipped tables, counted
        from symbols, need less."""
        device = model.sigma.device
        t = torch.tensor(RATES, device=device)
        points: list[list[Point]] = [[] for _ in RATES]
        for image in self._images:
            x = (torch.from_numpy(image.copy()).to(device).float() / 255 - 0.5).expand(len(t), -1, -1, -1)
            out = model(x, t)
            mse = (out.x.float().clamp(-0.5, 0.5) - x).square().mean((1, 2, 3)).clamp(min=1e-10)
            bpp = (out.bits_y + out.bits_z) / image[..., 0].size
            for index, point in enumerate(zip(bpp.tolist(), (-10 * mse.log10()).tolist(), strict=True)):
                points[index].append(Point(*point))
        curve = [mean_point(values) for values in points]
        try:
            return curve, bd_rate(self.jpeg, curve)
        except ValueError:
            return curve, None


class Selection:
    """Keeps the weights that did best on the validation images, and says when no better ones are to be expected."""

    def __init__(self, validation: Validation, *, every: int, patience: int | None, part_bytes: int) -> None:
        """`every`: steps between evaluations; `patience`: how many of them without a better one are enough."""
        self.every = every
        self._validation, self._patience, self._part_bytes = validation, patience, part_bytes
        self.progress: dict[str, float | None] = {"best": None, "since_best": 0}

    @property
    def enough(self) -> bool:
        """Whether patience is exhausted."""
        return self._patience is not None and (self.progress["since_best"] or 0) >= self._patience

    def consider(self, model: CompressionModel, record: Mapping[str, Any], run: Path) -> str:
        """Evaluates a model in evaluation mode, adds a row to the run's file of evaluations, and if it is the best so
        far, keeps it with `record`, how it was made. Returns a line about the result."""
        curve, delta = self._validation.run(model)
        best, since = self.progress["best"], (self.progress["since_best"] or 0) + 1
        better = delta is not None and (best is None or delta < best)
        self.progress = {"best": delta, "since_best": 0} if better else {"best": best, "since_best": since}
        run.mkdir(parents=True, exist_ok=True)
        write_curves(run / JPEG, [Curve("JPEG", self._validation.jpeg)])
        rows = [
            {"step": record["step"], "t": t, "bpp": point.bpp, "psnr": point.psnr}
            | ({} if delta is None else {"bd_rate": delta})
            for t, point in zip(RATES, curve, strict=True)
        ]
        report.append(run / report.EVALUATIONS, report.EVALUATION_COLUMNS, rows)
        if better:
            state.save_state(
                run / BEST, state.pack_model(model, state.AVERAGE, torch.float32), record, self._part_bytes
            )
        shown = "no overlap with JPEG" if delta is None else f"BD-rate against JPEG {delta:+.2f} %"
        return f"evaluation at step {record['step']}: {shown}" + (", the best so far" if better else "")
