"""`freeze`: a trained model to the shipped codec. Integer networks, rate tables, probability tables."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ....bitstream.tables import ProbabilityTables, quantise_counts
from ...backends.networks import on_cpu
from ...encode.analysis_windows import analyse
from ...model.config import LATENT_FRACTION, ROWS, SCALE_MIN, SCALE_STEP, TABLE_ROWS
from ...model.constants import INPUT_ONE, SCALE_ONE
from ...model.integer_weights import IntegerWeights, checked
from ...tile.coder import TileCoder
from ..model.model import CompressionModel
from .calibration import MeanInputs, set_limits
from .layers import Frozen
from .networks import freeze_analysis, freeze_hyper_analysis, freeze_prior, freeze_synthesis, rates

LAPLACE_WEIGHT = 500
"""Symbols' worth of belief in the Laplace distribution when a row's table is made from counted symbols."""

ESCAPE_PROBABILITY = 1e-6

CALIBRATED = 96
"""Crops that means of activations are taken from."""


def freeze(model: CompressionModel, crops: Sequence[npt.NDArray[np.uint8]]) -> IntegerWeights:
    """The shipped form of a model, calibrated on crops uint8 [S, S, 3], S a multiple of 64.

    Takes the means of activations from the first 96 crops, each at several rates; then codes all crops and makes the
    probability tables from what occurs, twice, since the quantiser's choices depend on the tables.
    """
    model = copy.deepcopy(model).cpu().float().requires_grad_(False).eval()
    frozen: Frozen = {}
    _freeze_tables(model, frozen)
    if not model.is_bounded:
        set_limits(model, crops[:CALIBRATED])
    means = MeanInputs(model, crops[:CALIBRATED])
    for freeze_network in (freeze_analysis, freeze_hyper_analysis, freeze_prior, freeze_synthesis):
        freeze_network(model, frozen, means)
    _set_tables(frozen, [_laplace(row) for row in range(1, TABLE_ROWS)])
    for _ in range(2):
        counted = _count_symbols(_integers(model, frozen), crops)
        _set_tables(frozen, [_mixed(row, counted[row]) for row in range(1, TABLE_ROWS)])
    return _integers(model, frozen)


def _integers(model: CompressionModel, frozen: Frozen) -> IntegerWeights:
    return checked(model.config, {name: tensor.contiguous().numpy() for name, tensor in frozen.items()})


def _freeze_tables(model: CompressionModel, frozen: Frozen) -> None:
    """Rate tables, a row for each of the 256 rates."""
    t = rates()
    log_unit = (model.log_gain(t)[:, 0, 0] + model.sigma.log()).double()
    frozen["unit"] = log_unit.exp().float()
    # The synthesis is nearly orthonormal, so that errors of latents and of pixels have the same sum of squares; MSE is
    # a mean over three colours, bits per pixel are not.
    squared_step = (model.sigma.double() / log_unit.exp()).square()
    rate_weight = model.config.rate_weight(t.double())
    frozen["rate_weight"] = rate_weight
    frozen["worth"] = (rate_weight[:, None] * 255**2 / 3 * squared_step).float()
    step = (-log_unit).exp()
    frozen["inverse_unit"] = (INPUT_ONE * step / LATENT_FRACTION).float()
    frozen["log_unit"] = ((_table_row(log_unit) * SCALE_ONE).round() / SCALE_ONE).float()
    hyper = _table_row(model.hyper_log_scale(t)[:, 0, 0].double())
    # Never row 0: hyper-latents are plainly rounded, and a rare 1 must be codable.
    frozen["hyper_rows"] = hyper.round().clamp(1, TABLE_ROWS - 1).byte()


def _table_row(log_scale: Tensor) -> Tensor:
    """The row of the scale table, not rounded yet."""
    return (log_scale - math.log(SCALE_MIN)) / SCALE_STEP + 1


def _count_symbols(integers: IntegerWeights, crops: Sequence[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.float64]]:
    """How often each symbol occurs in each row, float64 [2K + 1] a row; each crop is coded at a rate of its own."""
    coder = TileCoder(on_cpu(integers))
    counted: list[npt.NDArray[np.float64]] = [np.zeros(2 * _half_width(row) + 1) for row in range(TABLE_ROWS)]
    for index, crop in enumerate(crops):
        # Rates far apart one after another, so that any number of crops covers the range.
        row = (index * 97) % ROWS
        (steps,), _ = coder.quantise(analyse(coder.networks, [crop], row), row)
        for symbols, rows in steps:
            for table in range(1, TABLE_ROWS):
                width = _half_width(table)
                found = symbols[rows == table]
                found = found[np.abs(found) <= width]
                counted[table] += np.bincount(found + width, minlength=2 * width + 1)
    return counted


def _half_width(row: int) -> int:
    """Symbols beyond seven standard deviations escape: of a Laplace distribution 5 in 100,000."""
    return math.ceil(7 * SCALE_MIN * math.exp(SCALE_STEP * (row - 1))) + 1


def _laplace(row: int) -> npt.NDArray[np.float64]:
    """Probabilities of a row's symbols for a Laplace distribution, float64 [2K + 1]."""
    rate = math.sqrt(2) / (SCALE_MIN * math.exp(SCALE_STEP * (row - 1)))
    edges = [0.5 * math.exp(rate * (k - 0.5)) for k in range(-_half_width(row), 1)]
    lower = np.diff(edges)
    return np.concatenate([lower, [1 - 2 * lower.sum()], lower[::-1]])


def _mixed(row: int, counted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Counts, made symmetric, with the Laplace distribution as the prior belief."""
    total = counted + counted[::-1] + 2 * LAPLACE_WEIGHT * _laplace(row)
    mixed: npt.NDArray[np.float64] = total / total.sum()
    return mixed


def _set_tables(frozen: Frozen, probabilities: Sequence[npt.NDArray[np.float64]]) -> None:
    """Probability tables from rows 1, 2, ... of probabilities of the symbols -K .. K."""
    counts = [quantise_counts(np.append(row, ESCAPE_PROBABILITY)) for row in probabilities]
    widths = np.array([0] + [(len(row) - 2) // 2 for row in counts], np.int32)
    tables = ProbabilityTables(widths, np.concatenate(counts))
    frozen["half_widths"] = torch.from_numpy(tables.half_widths.copy())
    frozen["counts"] = torch.from_numpy(tables.counts.copy())
