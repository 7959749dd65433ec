"""`freeze`: a trained model to the shipped codec. Integer networks, rate tables, probability tables."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..bitstream.tables import ProbabilityTables, quantise_counts
from .analysis import analyse
from .calibration import Ranges, activation_ranges
from .coder import TileCoder
from .config import (
    ACTIVATION_LIMIT,
    LATENT_FRACTION,
    OPERAND_LIMIT,
    OPERAND_STEP,
    OPERAND_ZERO,
    ROWS,
    SCALE_MIN,
    SCALE_STEP,
    TABLE_ROWS,
)
from .exact import MAX_EXPONENT, MIN_EXPONENT, WEIGHT_LIMIT, Integer, IntegerJoin, IntegerRateTable
from .frozen import FrozenModel, row_rate
from .integers import ACCUMULATOR_LIMIT, DEVIATION_ONE, HALF, INPUT_ONE, LEVEL_ONE, MEAN_ONE, SCALE_ONE
from .layers import Depthwise, DepthwiseBlock, Pointwise
from .model import CompressionModel
from .narrow import IntegerBlock, NarrowClassPointwise
from .prior import HyperSynthesis
from .synthesis import LinearSynthesis
from .transforms import MAX_REACH, base_step, typed

LAPLACE_WEIGHT = 500
"""Symbols' worth of belief in the Laplace distribution when a row's table is made from counted symbols."""

ESCAPE_PROBABILITY = 1e-6

CALIBRATED = 96
"""Crops that ranges of activations are taken from."""


def freeze(model: CompressionModel, crops: Sequence[npt.NDArray[np.uint8]]) -> FrozenModel:
    """The shipped form of a model, calibrated on crops uint8 [S, S, 3], S a multiple of 64.

    Takes the ranges of activations from the first 96 crops, each at several rates; then codes all crops and makes the
    probability tables from what occurs, twice, since the quantiser's choices depend on the tables.
    """
    model = copy.deepcopy(model).cpu().float().requires_grad_(False).eval()
    frozen = FrozenModel(model.config)
    frozen.analysis, frozen.hyper_analysis, frozen.sigma = model.analysis, model.hyper_analysis, model.sigma
    _freeze_tables(model, frozen)
    ranges = activation_ranges(model, crops[:CALIBRATED])
    _freeze_prior(model, frozen, ranges)
    _freeze_synthesis(model, frozen, ranges)
    _set_tables(frozen, [_laplace(row) for row in range(1, TABLE_ROWS)])
    for _ in range(2):
        counted = _count_symbols(frozen, crops)
        _set_tables(frozen, [_mixed(row, counted[row]) for row in range(1, TABLE_ROWS)])
    return frozen


def _freeze_tables(model: CompressionModel, frozen: FrozenModel) -> None:
    """Rate tables, a row for each of the 256 rates."""
    t = torch.tensor([row_rate(row) for row in range(ROWS)])
    log_unit = (model.log_gain(t)[:, 0, 0] + model.sigma.log()).double()
    frozen.unit = log_unit.exp().float()
    step = (-log_unit).exp()
    frozen.inverse_unit = (INPUT_ONE * step / LATENT_FRACTION).float()
    frozen.log_unit = ((_table_row(log_unit) * SCALE_ONE).round() / SCALE_ONE).float()
    frozen.restore = (step / LATENT_FRACTION * model.log_shrink(t)[:, 0, 0].exp()).float()
    hyper = _table_row(model.hyper_log_scale(t)[:, 0, 0].double())
    # Never row 0: hyper-latents are plainly rounded, and a rare 1 must be codable.
    frozen.hyper_rows = hyper.round().clamp(1, TABLE_ROWS - 1).byte()


def _table_row(log_scale: Tensor) -> Tensor:
    """The row of the scale table, not rounded yet."""
    return (log_scale - math.log(SCALE_MIN)) / SCALE_STEP + 1


class Operands(NamedTuple):
    """What stands for 1 in the integers of each channel, float64 [C], beyond what stands for 0, float64 [C] or one
    number."""

    scale: Tensor
    zero: Tensor | float


def _freeze_prior(model: CompressionModel, frozen: FrozenModel, ranges: Ranges) -> None:
    """Weights to integers. A scale is what stands for 1 in a channel of integers."""
    source, target = model.prior, frozen.prior
    hyper, steps = source.hyper_synthesis, source.context_steps
    stream_32 = _scale(ranges, hyper.add_rate, *_activations(hyper.blocks_32))
    # The first step works on the features as they are. Those of the others have five to nine times their magnitude.
    stream_16 = _scale(ranges, *_activations(hyper.blocks_16), *_activations(steps[0].blocks))
    _freeze_hyper(hyper, target.hyper_synthesis, stream_32, stream_16, ranges)
    group = model.config.latent_channels // 4
    parameters = torch.tensor([float(MEAN_ONE)] * group + [SCALE_ONE / SCALE_STEP] * group).double()
    for index, (step, twin) in enumerate(zip(steps, target.context_steps, strict=True)):
        stream = stream_16
        if index:
            stream = _scale(ranges, step.add, *_activations(step.blocks))
            inputs = torch.full((model.config.latent_channels,), float(INPUT_ONE)).double()
            _freeze_layer(step.enter, twin.enter, Operands(inputs, 0), Operands(stream, 0), ranges)
            assert isinstance(twin.add, IntegerJoin)
            twin.add.ratio.copy_(stream / stream_16)
        _freeze_blocks(step.blocks, twin.blocks, stream, ranges)
        mean = ranges.mean_input(step.leave)
        for k, layer in enumerate(cast(NarrowClassPointwise, twin.leave).classes):
            weight, bias = step.leave.weight[k].T, step.leave.bias[k, 0]
            _freeze_tensors(weight, bias, layer, _narrowed(stream), Operands(parameters, 0), mean)


def _freeze_hyper(
    source: HyperSynthesis, target: HyperSynthesis, stream_32: Tensor, stream_16: Tensor, ranges: Ranges
) -> None:
    z = torch.ones(source.enter.weight.shape[1]).double()  # hyper-latents are integers already
    _freeze_layer(source.enter, target.enter, Operands(z, OPERAND_ZERO), Operands(stream_32.repeat(4), 0), ranges)
    assert isinstance(target.rate, IntegerRateTable)
    t = torch.tensor([row_rate(row) for row in range(ROWS)])
    table = (source.rate(t)[:, 0, 0] * stream_32).round()
    target.rate.rows.copy_(table.clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT))
    _freeze_blocks(source.blocks_32, target.blocks_32, stream_32, ranges)
    _freeze_layer(source.up, target.up, _narrowed(stream_32), Operands(stream_16.repeat(4), 0), ranges)
    _freeze_blocks(source.blocks_16, target.blocks_16, stream_16, ranges)


def _activations(sequence: nn.Sequential) -> list[nn.Module]:
    """All of a row of blocks, whose residuals share a scale."""
    return [layer for block in typed(sequence) for layer in (block, block.add_spatial)]


def _freeze_synthesis(model: CompressionModel, frozen: FrozenModel, ranges: Ranges) -> None:
    source, target = model.synthesis, frozen.pixels
    t = torch.tensor([row_rate(row) for row in range(ROWS)])
    target.levels.copy_(255 * LEVEL_ONE * model.sigma * frozen.restore)
    target.deviations.copy_(DEVIATION_ONE * frozen.restore)
    target.gain_16.copy_(source.gain_16(t)[:, 0, 0].exp())
    target.gain_8.copy_(source.gain_8(t)[:, 0, 0].exp())
    target.reach.copy_(base_step(model.config, t)[:, 0, 0].clamp(max=MAX_REACH))
    _freeze_linear(source.linear.inner, target.linear)
    stream_16, stream_8 = (_scale(ranges, *_activations(blocks)) for blocks in (source.blocks_16, source.blocks_8))
    inputs = torch.full_like(model.sigma, DEVIATION_ONE).double()
    _freeze_layer(source.enter.inner, target.enter, Operands(inputs, 0), Operands(stream_16, 0), ranges)
    _freeze_blocks(source.blocks_16, target.blocks_16, stream_16, ranges)
    _freeze_layer(source.up, target.up, Operands(stream_16, 0), Operands(stream_8.repeat(4), 0), ranges)
    _freeze_blocks(source.blocks_8, target.blocks_8, stream_8, ranges)
    levels = torch.full_like(source.leave.inner.bias, 255).double()
    _freeze_layer(source.leave.inner, target.leave, Operands(stream_8, 0), Operands(levels, 0), ranges)


def _freeze_linear(layer: Pointwise, twin: LinearSynthesis) -> None:
    """Latents in eighths of a level to levels."""
    weight, bias = layer.weight.double(), 255 * layer.bias.double() + 127.5
    exponent = ((2**15 - HALF) / weight.abs().amax(1)).log2().floor()
    upper, lower = _halves(weight, exponent)
    # Where the two add up to more than is exact, the biases' share left aside, a coarser step makes uppers smaller.
    heavy = (upper.abs() + lower.abs()).sum(1) * OPERAND_LIMIT > 0.95 * ACCUMULATOR_LIMIT
    exponent -= heavy.double()
    upper, lower = _halves(weight, exponent)
    unit = torch.exp2(-exponent) / LEVEL_ONE
    bias = bias / (unit * HALF)
    above = (bias / HALF).round()
    mixed = torch.cat([lower, upper], dim=1)
    for part, weights, biases, factor in (
        (twin.top, upper, above - OPERAND_ZERO * upper.sum(1), HALF**2),
        (twin.middle, mixed, (bias - HALF * above).round() - OPERAND_ZERO * mixed.sum(1), HALF),
    ):
        part.weight.copy_(weights)
        part.bias.copy_(biases)
        part.multiplier.copy_(unit * factor)
        part.settle()


def _halves(weight: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
    """Of the weights times powers of two: in units of 256, and what is left."""
    whole = (weight * torch.exp2(exponent)[:, None]).round()
    upper = (whole / HALF).round()
    return upper, (whole - HALF * upper).clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT)


def _scale(ranges: Ranges, *layers: nn.Module) -> Tensor:
    return ACTIVATION_LIMIT / ranges.of(*layers, steps=ACTIVATION_LIMIT // OPERAND_STEP)


def _freeze_blocks(source: nn.Sequential, target: nn.Sequential, stream: Tensor, ranges: Ranges) -> None:
    for block, twin in zip(typed(source), target, strict=True):
        _freeze_block(block, cast(IntegerBlock, twin), stream, ranges)


def _freeze_block(block: DepthwiseBlock, twin: IntegerBlock, stream: Tensor, ranges: Ranges) -> None:
    """stream: the scale of the activations, float64 [C]."""
    activations = _narrowed(stream)
    mixed = Operands(OPERAND_LIMIT / ranges.of(block.rectifier, steps=OPERAND_LIMIT), 0)
    below, above = ranges.between(block.spatial, steps=OPERAND_LIMIT)
    spatial = Operands(OPERAND_LIMIT / (below + above), OPERAND_LIMIT * below / (below + above))
    gated = Operands(OPERAND_ZERO / ranges.of(block.gate, steps=OPERAND_ZERO), OPERAND_ZERO)
    _freeze_layer(block.mix, twin.mix, activations, mixed, ranges)
    _freeze_layer(block.spatial, twin.spatial, mixed, spatial, ranges)
    _freeze_layer(block.project, twin.project, spatial, Operands(stream, 0), ranges)
    # Values are in operands of what they give with a gate of 1; gates are themselves.
    parts = zip(block.expand.weight.chunk(2), block.expand.bias.chunk(2), strict=True)
    scales = (twin.value, gated.scale), (twin.gate, torch.ones_like(gated.scale))
    for (weight, bias), (layer, scale) in zip(parts, scales, strict=True):
        _freeze_tensors(weight, bias, layer, activations, Operands(scale, 0), ranges.mean_input(block.expand))
    _freeze_layer(block.contract, twin.contract, gated, Operands(stream, 0), ranges)


def _narrowed(stream: Tensor) -> Operands:
    """What `narrowed` makes of activations: an operand stands for the middle of the eight that become it."""
    return Operands(stream / OPERAND_STEP, OPERAND_ZERO - (OPERAND_STEP - 1) / 2 / OPERAND_STEP)


def _freeze_layer(
    layer: Pointwise | Depthwise, twin: nn.Module, inputs: Operands, outputs: Operands, ranges: Ranges
) -> None:
    _freeze_tensors(layer.weight, layer.bias, twin, inputs, outputs, ranges.mean_input(layer))


def _freeze_tensors(
    weight: Tensor, bias: Tensor, twin: nn.Module, inputs: Operands, outputs: Operands, mean: Tensor
) -> None:
    """Weights in units of outputs / inputs, as integers times the finest power of two that keeps the sums exact. What
    their rounding adds to the sums of mean inputs, float64 [inputs], is taken from the biases."""
    assert isinstance(twin, Integer)
    weight, bias = weight.double(), bias.double() * outputs.scale
    each = (-1,) + (1,) * (weight.ndim - 1)
    scale, zero = inputs.scale, torch.as_tensor(inputs.zero, dtype=torch.float64).expand_as(inputs.scale)
    if weight.ndim == 4:
        # Depthwise: an input for each output.
        scale, zero, mean = scale.reshape(each), zero.reshape(each), mean.reshape(each)
    weight = weight * outputs.scale.reshape(each) / scale
    axes = twin.input_axes
    terms = math.prod(weight.shape[axis] for axis in axes)
    bias = bias + outputs.zero
    # Rounding adds at most 1/2 to each weight, and what comes of that to the bias.
    room = (
        ACCUMULATOR_LIMIT
        - 2
        - (OPERAND_LIMIT + zero.max()) * terms / 2
        - (scale * mean).abs().expand_as(weight).sum(axes) / 2
    )
    # The zeros are made up for by the bias.
    sums = weight.abs().sum(axes) * OPERAND_LIMIT + bias.abs() + (weight * zero).sum(axes).abs() + twin.room
    exponent = torch.minimum(room / sums, WEIGHT_LIMIT / weight.abs().amax(axes)).log2().floor()
    factor = torch.exp2(exponent.clamp(MIN_EXPONENT, MAX_EXPONENT))
    twin.weight.copy_((weight * factor.reshape(each)).round())
    rounding = (twin.weight - weight * factor.reshape(each)) * scale * mean
    # Inputs of 0 and mean inputs must give what they did before.
    twin.bias.copy_((bias * factor - (twin.weight * zero + rounding).sum(axes)).round())
    twin.multiplier.copy_(1 / factor)
    twin.settle()


def _count_symbols(frozen: FrozenModel, crops: Sequence[npt.NDArray[np.uint8]]) -> list[npt.NDArray[np.float64]]:
    """How often each symbol occurs in each row, float64 [2K + 1] a row; each crop is coded at a rate of its own."""
    coder = TileCoder(frozen)
    counted: list[npt.NDArray[np.float64]] = [np.zeros(2 * _half_width(row) + 1) for row in range(TABLE_ROWS)]
    for index, crop in enumerate(crops):
        # Rates far apart one after another, so that any number of crops covers the range.
        row = (index * 97) % ROWS
        y = analyse(frozen, crop, row)
        for symbols, rows in coder.quantise(y, row)[0]:
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


def _set_tables(frozen: FrozenModel, probabilities: Sequence[npt.NDArray[np.float64]]) -> None:
    """Probability tables from rows 1, 2, ... of probabilities of the symbols -K .. K."""
    counts = [quantise_counts(np.append(row, ESCAPE_PROBABILITY)) for row in probabilities]
    widths = np.array([0] + [(len(row) - 2) // 2 for row in counts], np.int32)
    tables = ProbabilityTables(widths, np.concatenate(counts))
    frozen.half_widths = torch.from_numpy(tables.half_widths.copy())
    frozen.counts = torch.from_numpy(tables.counts.copy())
