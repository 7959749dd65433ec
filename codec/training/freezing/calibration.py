"""Statistics of a model's activations on crops: the ranges that training starts with, and the mean inputs of layers, by
which freezing corrects biases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...model.config import ACTIVATION_LIMIT, OPERAND_LIMIT, OPERAND_STEP, OPERAND_ZERO
from ..model.layers import Add, Blocks, ClassPointwise, Depthwise, DepthwiseBlock, Gate, Pointwise, Range, Rectifier
from ..model.model import CompressionModel

BINS_PER_OCTAVE = 4
LOWEST = 2.0**-12
BINS = 24 * BINS_PER_OCTAVE
"""Histograms of magnitudes have BINS bins on a logarithmic scale from 2^-12 to 2^12, and one for what is below."""

PARTS = torch.exp2(-torch.arange(5).double() / 4)[:, None]
"""Candidates for a range, as parts of the largest magnitude: 1 to 1/2."""

RATES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Rates t at which each crop goes through the model."""


class Ranges:
    """Histograms of the magnitudes of layers' outputs, by channel and sign; for a block, of its inputs, too."""

    def __init__(self) -> None:
        self._largest: dict[nn.Module, Tensor] = {}
        self._counts: dict[nn.Module, Tensor] = {}

    def observe(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Counts a layer's outputs; to be registered as a forward hook."""
        for x in (inputs[0], output) if isinstance(layer, DepthwiseBlock) else (output,):
            x = x.flatten(0, -2)
            channels = x.shape[1]
            bins = ((x.abs() / LOWEST).log2_() * BINS_PER_OCTAVE).clamp_(-1, BINS - 1).floor_().long() + 1
            bins += (BINS + 1) * (torch.arange(channels) + channels * (x > 0))
            counts = torch.bincount(bins.flatten(), minlength=2 * channels * (BINS + 1)).reshape(2, channels, -1)
            largest = torch.stack([-x.amin(0), x.amax(0)]).clamp_(min=0)
            if layer in self._counts:
                counts += self._counts[layer]
                largest = torch.maximum(largest, self._largest[layer])
            self._counts[layer], self._largest[layer] = counts, largest

    def of(self, *layers: nn.Module, steps: int) -> Tensor:
        """A range +-limit for the outputs of all of these layers together, float64 [C]: the candidate with the least
        squared error of clamping to it and rounding to 1 / steps of it."""
        largest = torch.stack([self._largest[layer] for layer in layers]).amax((0, 1)).double()
        counts = torch.stack([self._counts[layer] for layer in layers]).sum((0, 1))
        candidates = _above_zero(largest) * PARTS
        errors = _errors(counts, candidates, candidates / steps)
        return candidates.gather(0, errors.argmin(0, keepdim=True))[0]

    def between(self, layer: nn.Module, steps: int) -> tuple[Tensor, Tensor]:
        """A range -below..above for a layer's outputs, two magnitudes, float64 [C]: the pair of candidates with the
        least squared error of clamping to it and rounding to 1 / steps of its width."""
        largest = self._largest[layer].double()
        below = (PARTS * largest[0]).repeat_interleave(len(PARTS), 0)
        above = (PARTS * largest[1]).repeat(len(PARTS), 1)
        widths = _above_zero(below + above)
        counts = self._counts[layer]
        errors = _errors(counts[0], below, widths / steps) + _errors(counts[1], above, widths / steps)
        best = errors.argmin(0, keepdim=True)
        return below.gather(0, best)[0], widths.gather(0, best)[0] - below.gather(0, best)[0]


def _above_zero(range_: Tensor) -> Tensor:
    """Ranges raised to 1/500 of the largest channel's, so that channels that are dead have one above 0."""
    return range_.clamp(min=max(float(range_.max()) / 500, LOWEST))


def _errors(counts: Tensor, limits: Tensor, steps: Tensor) -> Tensor:
    """The squared error, [..., C], of clamping magnitudes to limits, [..., C], and rounding them to multiples of steps,
    [..., C]. counts: their histograms, [C, 1 + BINS]. Rounding has the error step^2 / 12, or that of rounding to 0."""
    centres = LOWEST * torch.exp2((torch.arange(BINS) + 0.5) / BINS_PER_OCTAVE).double()
    beyond = (centres - limits[..., None]).clamp(min=0).square()
    rounding = torch.minimum(centres.square(), steps[..., None].square() / 12)
    return (counts[:, 1:] * (beyond + rounding)).sum(-1)


@torch.no_grad()
def set_limits(model: CompressionModel, crops: Sequence[npt.NDArray[np.uint8]]) -> None:
    """Sets the ranges of a model's activations to those with the least squared error on crops uint8 [S, S, 3], from
    which training goes on."""
    ranges = Ranges()
    observed = Depthwise | Rectifier | Gate | Add | DepthwiseBlock
    _run(model, crops, [m.register_forward_hook(ranges.observe) for m in model.modules() if isinstance(m, observed)])
    for blocks in (part for part in model.modules() if isinstance(part, Blocks)):
        _set_stream(blocks, blocks.each, ranges)
        for block in blocks.each:
            _set(block.rectified, 0, ranges.of(block.rectifier, steps=OPERAND_LIMIT))
            _set(block.filtered, *ranges.between(block.spatial, steps=OPERAND_LIMIT))
            _set(block.gated, 0, ranges.of(block.gate, steps=OPERAND_ZERO))
    # The hyper-synthesis' last blocks and those of the first step share a range.
    both = [*model.prior.hyper_synthesis.blocks_16.each, *model.prior.context_steps[0].blocks.each]
    _set_stream(model.prior.hyper_synthesis.blocks_16, both, ranges)
    model.bound()


def _set_stream(blocks: Blocks, each: Sequence[DepthwiseBlock], ranges: Ranges) -> None:
    """Sets the range of the activations that `blocks` share to that of all activations of the blocks in `each`."""
    layers = [layer for block in each for layer in (block, block.add_spatial)]
    blocks.log_limit.copy_(ranges.of(*layers, steps=ACTIVATION_LIMIT // OPERAND_STEP).log())


def _set(range_: Range, below: Tensor | int, above: Tensor) -> None:
    """Sets a range to -below..above, magnitudes float64 [C]; below is not used where the range has no limit for it."""
    least = max(float(above.max()) / 500, LOWEST)  # for a side without any values
    range_.log_high.copy_(above.clamp(min=least).log())
    if range_.log_below is not None:
        assert isinstance(below, Tensor)
        range_.log_below.copy_(below.clamp(min=least).log())


class MeanInputs:
    """The mean of each input channel of each convolution of a model, over crops uint8 [S, S, 3], each at RATES or at a
    rate of its own."""

    @torch.no_grad()
    def __init__(
        self, model: CompressionModel, crops: Sequence[npt.NDArray[np.uint8]], rates: Sequence[float] | None = None
    ) -> None:
        self._sums: dict[nn.Module, Tensor] = {}
        self._positions: dict[nn.Module, int] = {}
        convolutions = Pointwise | ClassPointwise | Depthwise
        hooks = [m.register_forward_hook(self._add) for m in model.modules() if isinstance(m, convolutions)]
        _run(model, crops, hooks, None if rates is None else [(rate,) for rate in rates])

    def __getitem__(self, layer: nn.Module) -> Tensor:
        """The means of a convolution's inputs, float64 [inputs]."""
        return self._sums[layer] / self._positions[layer]

    def _add(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Adds a convolution's inputs; a forward hook."""
        x = inputs[0].flatten(0, -2)
        self._sums[layer] = self._sums.get(layer, 0) + x.double().sum(0)
        self._positions[layer] = self._positions.get(layer, 0) + len(x)


def _run(
    model: CompressionModel,
    crops: Sequence[npt.NDArray[np.uint8]],
    hooks: Sequence[Any],
    rates: Sequence[Sequence[float]] | None = None,
) -> None:
    """Runs the model on each crop at its rates, or at all of RATES, then removes the hooks."""
    training = model.training
    model.eval()
    for crop, own in zip(crops, rates or [RATES] * len(crops), strict=True):
        t = torch.tensor(own, device=model.sigma.device)
        x = torch.tensor(crop).to(t.device).float() / 255 - 0.5
        model(x.expand(len(t), -1, -1, -1), t)
    for hook in hooks:
        hook.remove()
    model.train(training)
