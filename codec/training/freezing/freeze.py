"""Freezing of a trained model to the weights that code files: integer networks, rate tables and probability tables."""

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
from ...model.arrays import AnyArray
from ...model.config import LATENT_FRACTION, ROWS, SCALE_MIN, SCALE_STEP, TABLE_ROWS
from ...model.constants import INPUT_ONE, SCALE_ONE
from ...model.integer_weights import REACH, IntegerWeights, checked
from ...tile.coder import TileCoder
from ..model.model import CompressionModel
from .calibration import MeanInputs, set_limits
from .layers import Frozen
from .networks import (
    freeze_analysis,
    freeze_hyper_analysis,
    freeze_prior,
    freeze_restoring,
    freeze_synthesis,
    rates,
)

LAPLACE_WEIGHT = 500
"""Weight of the Laplace distribution, in symbols, when a row's probabilities are estimated from counted symbols."""

ESCAPE_PROBABILITY = 1e-6
"""Probability of the escape symbol, before it is rounded to a count."""

CALIBRATED = 96
"""Number of crops from which ranges and means of activations are measured."""


def freeze(model: CompressionModel, crops: Sequence[npt.NDArray[np.uint8]]) -> IntegerWeights:
    """The integer weights of a trained model, calibrated on crops uint8 [S, S, 3], S a multiple of 64.

    Means of activations are measured on the first CALIBRATED crops, each at several rates. Then all crops are coded and
    probability tables made from the symbols that occur; twice, since rounding depends on the tables. Raises
    WeightsError if integers would not be exact.
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


def freeze_restoration(
    model: CompressionModel, crops: Sequence[npt.NDArray[np.uint8]], rates: Sequence[float]
) -> dict[str, AnyArray]:
    """The integer tensors of the analysis transform of a model that restores, but for its units, which are the codec's,
    calibrated on degraded crops uint8 [S, S, 3], S a multiple of 64, each at the rate t that tells how degraded it
    is."""
    frozen: Frozen = {}
    means = MeanInputs(model, crops, rates)
    freeze_analysis(model, frozen, means)
    freeze_restoring(model, frozen, means)
    del frozen[REACH]
    return {name: tensor.contiguous().numpy() for name, tensor in frozen.items()}


def _integers(model: CompressionModel, frozen: Frozen) -> IntegerWeights:
    """The frozen tensors as weights, once they are checked."""
    return checked(model.config, {name: tensor.contiguous().numpy() for name, tensor in frozen.items()})


def _freeze_tables(model: CompressionModel, frozen: Frozen) -> None:
    """Adds the rate tables, with a row for each of the 256 rate indices, to the frozen tensors."""
    t = rates()
    log_sigma = (model.log_gain(t)[:, 0, 0] + model.sigma.log()).double()
    frozen["unit"] = log_sigma.exp().float()
    # The synthesis is nearly orthonormal, so that errors of latents and of pixels have the same sum of squares. The
    # division by 3 is there because MSE is a mean over three colours, bits per pixel a sum.
    squared_step = (model.sigma.double() / log_sigma.exp()).square()
    rate_weight = model.config.rate_weight(t.double())
    frozen["rate_weight"] = rate_weight
    frozen["worth"] = (rate_weight[:, None] * 255**2 / 3 * squared_step).float()
    step = (-log_sigma).exp()
    frozen["inverse_unit"] = (INPUT_ONE * step / LATENT_FRACTION).float()
    frozen["log_unit"] = ((_table_row(log_sigma) * SCALE_ONE).round() / SCALE_ONE).float()
    hyper = _table_row(model.hyper_log_scale(t)[:, 0, 0].double())
    # Row 0 codes nothing, but hyper-latents are rounded to the nearest, so that a rare 1 must have a code.
    frozen["hyper_rows"] = hyper.round().clamp(1, TABLE_ROWS - 1).byte()


def _table_row(log_scale: Tensor) -> Tensor:
    """The row of the scale table, not rounded, that the logarithm of a scale in quantisation steps falls on."""
    return (log_scale - math.log(SCALE_MIN)) / SCALE_STEP + 1


def _count_symbols(integers: IntegerWeights, crops: Sequence[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.float64]]:
    """The counts of symbols -K..K, float64 [2K + 1] for each row of the probability tables, when the crops are coded,
    each at a rate of its own."""
    coder = TileCoder(on_cpu(integers))
    counted: list[npt.NDArray[np.float64]] = [np.zeros(2 * _half_width(row) + 1) for row in range(TABLE_ROWS)]
    for index, crop in enumerate(crops):
        # Crops one after another get rates far apart, so that any number of them covers the range.
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
    """The largest symbol K that a row has a code of its own for: seven standard deviations. Beyond them, as are 5 in
    100,000 of a Laplace distribution, symbols are escaped."""
    return math.ceil(7 * SCALE_MIN * math.exp(SCALE_STEP * (row - 1))) + 1


def _laplace(row: int) -> npt.NDArray[np.float64]:
    """The probabilities of a row's symbols -K..K for a Laplace distribution of the row's scale, float64 [2K + 1]."""
    rate = math.sqrt(2) / (SCALE_MIN * math.exp(SCALE_STEP * (row - 1)))
    edges = [0.5 * math.exp(rate * (k - 0.5)) for k in range(-_half_width(row), 1)]
    lower = np.diff(edges)
    return np.concatenate([lower, [1 - 2 * lower.sum()], lower[::-1]])


def _mixed(row: int, counted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The probabilities of a row's symbols, float64 [2K + 1], from their counts, made symmetric, with LAPLACE_WEIGHT
    symbols of a Laplace distribution added."""
    total = counted + counted[::-1] + 2 * LAPLACE_WEIGHT * _laplace(row)
    mixed: npt.NDArray[np.float64] = total / total.sum()
    return mixed


def _set_tables(frozen: Frozen, probabilities: Sequence[npt.NDArray[np.float64]]) -> None:
    """Sets the probability tables of the frozen tensors. probabilities: of the symbols -K..K, for rows 1, 2, ... of
    the tables; row 0 codes nothing."""
    counts = [quantise_counts(np.append(row, ESCAPE_PROBABILITY)) for row in probabilities]
    widths = np.array([0] + [(len(row) - 2) // 2 for row in counts], np.int32)
    tables = ProbabilityTables(widths, np.concatenate(counts))
    frozen["half_widths"] = torch.from_numpy(tables.half_widths.copy())
    frozen["counts"] = torch.from_numpy(tables.counts.copy())
