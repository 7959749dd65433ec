"""The health of the networks' units: which are dead, how large activations and weights have become, and how dead ones
are revived.

A rectifier or a gate that is shut everywhere computes nothing and costs what the others cost. The loss does not show
it: 1,700 units had died in the weights of one run, among them all 768 gates of the synthesis at 1/16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..model.arrays import Pixels
from .model.layers import DepthwiseBlock, Pointwise, Range
from .model.model import CompressionModel

DEAD = 1e-4
"""A unit that is open (above 0) at a smaller share of the positions than this is dead."""

RATES = (0.1, 0.5, 0.9)
"""Rates, on the scale from 0 to 1, that units are examined at."""

BINS_PER_OCTAVE, OCTAVES = 8, 32
"""Bins of the histogram of magnitudes that a percentile is taken of: logarithmic, from 2^-16 to 2^16."""

PERCENTILE = 0.9999

FRESH_RANGE = 4.0
"""The least range of a revived unit: four standard deviations of what random weights make of activations around 1."""

DRIFT = 2.0
"""A block is said to drift where its largest activations have grown by this factor since the run began."""


class BlockHealth(NamedTuple):
    """The state of one depthwise block's units, on some crops."""

    rectifiers: Tensor
    """float32 [C]: the share of the positions at which each rectifier is open."""
    gates: Tensor
    """float32 [2C]: the share of the positions at which each gate is open."""
    percentile: float
    """The 99.99th percentile of the magnitudes of the block's outputs."""
    largest: float
    """The largest magnitude of the block's outputs."""
    norm: float
    """The largest Frobenius norm of its 1x1 layers' weights."""

    @property
    def dead(self) -> float:
        """The share of dead units among rectifiers and gates."""
        units = torch.cat([self.rectifiers, self.gates])
        return float((units < DEAD).float().mean())


def named_blocks(model: CompressionModel) -> dict[str, DepthwiseBlock]:
    """All depthwise blocks by their names."""
    return {name: block for name, block in model.named_modules() if isinstance(block, DepthwiseBlock)}


@torch.no_grad()
def examine(model: CompressionModel, crops: Sequence[Pixels]) -> dict[str, BlockHealth]:
    """Runs a model on crops, uint8 [S, S, 3], at RATES: the health of each block by name."""
    watches = {name: _Watch(block) for name, block in named_blocks(model).items()}
    training, t = model.training, torch.tensor(RATES, device=model.sigma.device)
    model.eval()
    for crop in crops:
        x = torch.tensor(crop).to(t.device).float() / 255 - 0.5
        model(x.expand(len(t), -1, -1, -1), t)
    model.train(training)
    return {name: watch.finish() for name, watch in watches.items()}


class _Watch:
    """Counts open units and magnitudes of one block while a model runs, by hooks on its layers."""

    def __init__(self, block: DepthwiseBlock) -> None:
        self._block = block
        self._open: dict[nn.Module, Tensor] = {}
        self._positions: dict[nn.Module, int] = {}
        self._counts = torch.zeros(BINS_PER_OCTAVE * OCTAVES)
        self._largest = 0.0
        self._hooks = [
            block.mix.register_forward_hook(lambda layer, _, x: self._count(layer, x)),
            block.expand.register_forward_hook(lambda layer, _, x: self._count(layer, x.chunk(2, dim=-1)[1])),
            block.register_forward_hook(self._measure),
        ]

    def _count(self, layer: nn.Module, x: Tensor) -> None:
        x = x.flatten(0, -2)
        self._open[layer] = self._open.get(layer, 0) + (x > 0).sum(0)
        self._positions[layer] = self._positions.get(layer, 0) + len(x)

    def _measure(self, _: nn.Module, __: Any, x: Tensor) -> None:
        magnitudes = x.detach().float().abs().flatten()
        logs = magnitudes.clamp(min=2.0 ** (-OCTAVES // 2)).log2().cpu()
        self._counts += torch.histc(logs, len(self._counts), -OCTAVES // 2, OCTAVES // 2)
        self._largest = max(self._largest, float(magnitudes.max()))

    def finish(self) -> BlockHealth:
        """Removes the hooks; what they have counted."""
        for hook in self._hooks:
            hook.remove()
        block = self._block
        rectifiers, gates = ((self._open[layer] / self._positions[layer]).cpu() for layer in (block.mix, block.expand))
        rank = int((self._counts.cumsum(0) < PERCENTILE * self._counts.sum()).sum())
        percentile = 2.0 ** ((rank + 1) / BINS_PER_OCTAVE - OCTAVES / 2)
        norm = max(float(layer.weight.norm()) for layer in (block.mix, block.project, block.expand, block.contract))
        return BlockHealth(rectifiers, gates, min(percentile, self._largest), self._largest, norm)


def columns(model: CompressionModel) -> list[str]:
    """The columns of a log with rows of `row`."""
    return ["step", *(f"{name} {what}" for name in named_blocks(model) for what in MEASURES)]


MEASURES = ("dead", "percentile", "largest", "norm")


def row(found: dict[str, BlockHealth]) -> dict[str, float]:
    """A row of the log: each measure of each block."""
    return {f"{name} {what}": float(getattr(health, what)) for name, health in found.items() for what in MEASURES}


def drifting(now: dict[str, float], first: dict[str, float]) -> list[str]:
    """The blocks whose activations have grown by `DRIFT` since the first row of a log."""
    largest = [key for key in now if key.endswith(" largest")]
    return [key.removesuffix(" largest") for key in largest if now[key] > DRIFT * first.get(key, now[key])]


@torch.no_grad()
def revive(model: CompressionModel, copies: Sequence[CompressionModel], found: dict[str, BlockHealth]) -> int:
    """Gives dead units random weights going in and zeros coming out, so that nothing changes at first. copies: averages
    of the model, which take over its blocks that had any. Returns the number of dead units."""
    count = 0
    for name, health in found.items():
        block = model.get_submodule(name)
        assert isinstance(block, DepthwiseBlock)
        rectifiers, gates = (torch.nonzero(units < DEAD)[:, 0] for units in (health.rectifiers, health.gates))
        if len(rectifiers):
            _revive_rectifiers(block, rectifiers)
        if len(gates):
            _revive_gates(block, gates)
        for other in copies:
            # The average takes the whole block: new units do not go with the averages of the others.
            if len(rectifiers) or len(gates):
                other.get_submodule(name).load_state_dict(block.state_dict())
        count += len(rectifiers) + len(gates)
    return count


def _revive_rectifiers(block: DepthwiseBlock, units: Tensor) -> None:
    # A dead rectifier has contributed a constant, which the bias keeps.
    constant = block.filtered(block.spatial.bias)[units]
    block.project.bias.add_(block.project.weight[:, units] @ constant)
    block.project.weight[:, units] = 0
    _draw(block.mix, units)
    block.mix.bias[units] = 0
    block.spatial.weight[units] = torch.randn_like(block.spatial.weight[units]) / 3
    block.spatial.bias[units] = 0
    _renew(block.rectified, units)
    _renew(block.filtered, units)


def _revive_gates(block: DepthwiseBlock, units: Tensor) -> None:
    block.contract.weight[:, units] = 0
    values, gates = units, units + len(block.expand.bias) // 2
    for part, bias in ((values, 0.0), (gates, 1.0)):
        _draw(block.expand, part)
        block.expand.bias[part] = bias
    _renew(block.gated, units)


def _draw(layer: Pointwise, units: Tensor) -> None:
    """Draws random weights for some outputs of a layer, as large as at the start of a training."""
    inputs = layer.weight.shape[1]
    layer.weight[units] = torch.randn_like(layer.weight[units]) * inputs**-0.5


def _renew(range_: Range, units: Tensor) -> None:
    """Widens the ranges of units to the largest of any unit, at least FRESH_RANGE, which hardly cuts anything off."""
    for limit in (range_.log_high, range_.log_below):
        if limit is not None:
            limit[units] = limit.max().clamp(min=math.log(FRESH_RANGE))
