"""`freeze`: a trained model to the shipped codec. Integer prior, fixed-point tables, probability tables."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..bitstream.tables import ProbabilityTables, quantise_counts
from .coder import TileCoder
from .config import ACTIVATION_LIMIT, LATENT_FRACTION, ROWS, SCALE_MIN, SCALE_STEP, TABLE_ROWS
from .exact import ACCUMULATOR_LIMIT, MAX_EXPONENT, Integer, IntegerGate, IntegerRateTable
from .frozen import INPUT_ONE, MEAN_ONE, SCALE_ONE, UNIT_LIMIT, UNIT_ONE, FrozenModel, row_rate
from .layers import Add, ClassPointwise, Depthwise, DepthwiseBlock, Gate, Leaky, Pointwise
from .model import CompressionModel
from .prior import HyperSynthesis
from .windows import analyse

LAPLACE_WEIGHT = 500
"""Symbols' worth of belief in the Laplace distribution when a row's table is made from counted symbols."""

WEIGHT_LIMIT = 2**15 - 1
"""Weights are stored as int16."""

ESCAPE_PROBABILITY = 1e-6


def freeze(model: CompressionModel, crops: Sequence[npt.NDArray[np.uint8]]) -> FrozenModel:
    """The shipped form of a model, calibrated on crops uint8 [S, S, 3], S a multiple of 64.

    Takes the ranges of activations from the first 32 crops, each at several rates; then codes all crops and makes the
    probability tables from what occurs, twice, since the quantiser's choices depend on the tables.
    """
    model = copy.deepcopy(model).cpu().float().requires_grad_(False).eval()
    frozen = FrozenModel(model.config)
    frozen.analysis, frozen.hyper_analysis, frozen.synthesis = (
        model.analysis,
        model.hyper_analysis,
        model.synthesis,
    )
    frozen.sigma = model.sigma
    _freeze_tables(model, frozen)
    _freeze_prior(model, frozen, _activation_ranges(model, crops[:32]))
    _set_tables(frozen, [_laplace(row) for row in range(1, TABLE_ROWS)])
    for _ in range(2):
        counted = _count_symbols(frozen, crops)
        _set_tables(frozen, [_mixed(row, counted[row]) for row in range(1, TABLE_ROWS)])
    return frozen


def _freeze_tables(model: CompressionModel, frozen: FrozenModel) -> None:
    """Rate tables as fixed-point numbers, a row for each of the 256 rates."""
    t = torch.tensor([row_rate(row) for row in range(ROWS)])
    log_unit = (model.log_gain(t)[:, 0, 0] + model.sigma.log()).double()
    unit = (log_unit.exp() * UNIT_ONE).round().clamp(1, UNIT_LIMIT)
    frozen.unit = unit.int()
    # The rounded unit counts from here on: encoder and decoder must mean the same step.
    step = UNIT_ONE / unit
    frozen.inverse_unit = (INPUT_ONE * step / LATENT_FRACTION * UNIT_ONE).round().clamp(max=UNIT_LIMIT).int()
    frozen.log_unit = (_table_row(-step.log()) * SCALE_ONE).round().int()
    frozen.restore = (step / LATENT_FRACTION * model.log_shrink(t)[:, 0, 0].exp()).float()
    hyper = _table_row(model.hyper_log_scale(t)[:, 0, 0].double())
    # Never row 0: hyper-latents are plainly rounded, and a rare 1 must be codable.
    frozen.hyper_rows = hyper.round().clamp(1, TABLE_ROWS - 1).byte()


def _table_row(log_scale: Tensor) -> Tensor:
    """The row of the scale table, not rounded yet."""
    return (log_scale - math.log(SCALE_MIN)) / SCALE_STEP + 1


class _Ranges:
    """Largest magnitudes of each layer's outputs, a channel."""

    def __init__(self, root: nn.Module) -> None:
        self._seen: dict[nn.Module, Tensor] = {}
        self._handles = [
            layer.register_forward_hook(self._observe)
            for layer in root.modules()
            if isinstance(layer, Pointwise | ClassPointwise | Depthwise | Leaky | Gate | Add)
        ]

    def _observe(self, layer: nn.Module, _: Any, output: Tensor) -> None:
        largest = output.abs().flatten(0, -2).amax(0)
        before = self._seen.get(layer)
        self._seen[layer] = largest if before is None else torch.maximum(before, largest)

    def close(self) -> None:
        for handle in self._handles:
            handle.remove()

    def of(self, *layers: nn.Module) -> Tensor:
        """The larger of several layers' ranges, float64 [C]; dead channels count as tiny, not as nothing."""
        ranges = [self._seen[layer].double() for layer in layers]
        return torch.stack(ranges).amax(0).clamp(min=1e-3)


@torch.no_grad()
def _activation_ranges(model: CompressionModel, crops: Sequence[npt.NDArray[np.uint8]]) -> _Ranges:
    ranges = _Ranges(model.prior)
    for crop in crops:
        x = torch.from_numpy(crop)[None].float() / 255 - 0.5
        for t in (0.0, 0.25, 0.5, 0.75, 1.0):
            model(x, torch.tensor([t]))
    ranges.close()
    return ranges


def _freeze_prior(model: CompressionModel, frozen: FrozenModel, ranges: _Ranges) -> None:
    """Weights to integers. A scale is what stands for 1 in a channel of integers."""
    source, target = model.prior, frozen.prior
    hyper, steps = source.hyper_synthesis, source.context_steps
    stream_32 = _scale(ranges, hyper.add_rate, *_adds(hyper.blocks_32))
    # Hyper features and the steps' own add up, so that all of them share one scale.
    known = [step.add for step in steps[1:]]
    stream_16 = _scale(ranges, *_adds(hyper.blocks_16), *known, *(a for s in steps for a in _adds(s.blocks)))
    _freeze_hyper(hyper, target.hyper_synthesis, stream_32, stream_16, ranges)
    group = model.config.latent_channels // 4
    parameters = torch.tensor([float(MEAN_ONE)] * group + [SCALE_ONE / SCALE_STEP] * group).double()
    for index, (step, twin) in enumerate(zip(steps, target.context_steps, strict=True)):
        if index:
            inputs = torch.full((model.config.latent_channels,), float(INPUT_ONE)).double()
            _freeze_layer(step.enter, twin.enter, inputs, stream_16)
        _freeze_blocks(step.blocks, twin.blocks, stream_16, ranges)
        _freeze_layer(step.leave, twin.leave, stream_16, parameters)


def _freeze_hyper(
    source: HyperSynthesis, target: HyperSynthesis, stream_32: Tensor, stream_16: Tensor, ranges: _Ranges
) -> None:
    z = torch.ones(source.enter.weight.shape[1]).double()  # hyper-latents are integers already
    _freeze_layer(source.enter, target.enter, z, stream_32.repeat(4))
    assert isinstance(target.rate, IntegerRateTable)
    t = torch.tensor([row_rate(row) for row in range(ROWS)])
    table = (source.rate(t)[:, 0, 0] * stream_32).round()
    target.rate.rows.copy_(table.clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT))
    _freeze_blocks(source.blocks_32, target.blocks_32, stream_32, ranges)
    _freeze_layer(source.up, target.up, stream_32, stream_16.repeat(4))
    _freeze_blocks(source.blocks_16, target.blocks_16, stream_16, ranges)


def _blocks(sequence: nn.Sequential) -> list[DepthwiseBlock]:
    return [cast(DepthwiseBlock, block) for block in sequence]


def _adds(sequence: nn.Sequential) -> list[nn.Module]:
    return [add for block in _blocks(sequence) for add in (block.add_spatial, block.add_channel)]


def _scale(ranges: _Ranges, *layers: nn.Module) -> Tensor:
    return ACTIVATION_LIMIT / ranges.of(*layers)


def _freeze_blocks(source: nn.Sequential, target: nn.Sequential, stream: Tensor, ranges: _Ranges) -> None:
    for block, twin in zip(_blocks(source), _blocks(target), strict=True):
        _freeze_block(block, twin, stream, ranges)


def _freeze_block(block: DepthwiseBlock, twin: DepthwiseBlock, stream: Tensor, ranges: _Ranges) -> None:
    mixed, spatial = _scale(ranges, block.leaky), _scale(ranges, block.spatial)
    _freeze_layer(block.mix, twin.mix, stream, mixed)
    _freeze_layer(block.spatial, twin.spatial, mixed, spatial)
    _freeze_layer(block.project, twin.project, spatial, stream)
    gated = ranges.of(block.gate)
    value = ACTIVATION_LIMIT / ranges.of(block.expand)[: len(gated)]
    gate = torch.full_like(value, ACTIVATION_LIMIT / 6)  # the limit stands for the 6 of relu6
    _freeze_layer(block.expand, twin.expand, stream, torch.cat([value, gate]))
    # The largest power of two that keeps the product within the limit.
    exponent = (ACTIVATION_LIMIT / gated / (value * gate)).log2().floor().clamp(-MAX_EXPONENT, 0)
    assert isinstance(twin.gate, IntegerGate)
    twin.gate.multiplier.copy_(torch.exp2(exponent))
    _freeze_layer(block.contract, twin.contract, value * gate * torch.exp2(exponent), stream)


def _freeze_layer(
    layer: Pointwise | ClassPointwise | Depthwise, twin: nn.Module, inputs: Tensor, outputs: Tensor
) -> None:
    """Weights in units of outputs / inputs, as integers times the finest power of two that keeps the sums exact.

    inputs, outputs: scales, float64 [C]; a depthwise layer has an input for each output.
    """
    assert isinstance(twin, Integer)
    weight, bias = layer.weight.double(), layer.bias.double() * outputs
    if isinstance(layer, ClassPointwise):
        weight = weight * outputs / inputs[:, None]
    elif isinstance(layer, Depthwise):
        weight = weight * (outputs / inputs)[:, None, None, None]
    else:
        weight = weight * outputs[:, None] / inputs
    axes = twin.input_axes
    terms = math.prod(weight.shape[axis] for axis in axes)
    # Rounding adds at most 1/2 to each weight and to the bias.
    room = ACCUMULATOR_LIMIT - 1 - ACTIVATION_LIMIT * terms / 2 - 1
    sums = weight.abs().sum(axes).reshape(bias.shape) * ACTIVATION_LIMIT + bias.abs()
    largest = weight.abs().amax(axes).reshape(bias.shape)
    exponent = torch.minimum(room / sums, WEIGHT_LIMIT / largest).log2().floor().clamp(0, MAX_EXPONENT)
    factor = torch.exp2(exponent)
    twin.weight.copy_((weight * factor.reshape(weight.sum(axes, keepdim=True).shape)).round())
    twin.bias.copy_((bias * factor).round())
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
