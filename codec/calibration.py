"""Ranges of activations for `freeze`: what the 8 bits of each channel should cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .layers import Add, Depthwise, DepthwiseBlock, Gate, Rectifier
from .model import CompressionModel

BINS_PER_OCTAVE = 4
LOWEST = 2.0**-12
BINS = 24 * BINS_PER_OCTAVE
"""Magnitudes are counted in bins from 2^-12 to 2^12, on a logarithmic scale."""

RATES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Ranges:
    """Magnitudes of layers' outputs, counted a channel; of a block's inputs as well."""

    def __init__(self) -> None:
        self._largest: dict[nn.Module, Tensor] = {}
        self._counts: dict[nn.Module, Tensor] = {}

    def observe(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """A forward hook."""
        for x in (inputs[0], output) if isinstance(layer, DepthwiseBlock) else (output,):
            magnitudes = x.abs().flatten(0, -2)
            channels = magnitudes.shape[1]
            bins = ((magnitudes / LOWEST).log2_() * BINS_PER_OCTAVE).clamp_(-1, BINS - 1).floor_().long() + 1
            bins += torch.arange(channels) * (BINS + 1)
            counts = torch.bincount(bins.flatten(), minlength=channels * (BINS + 1)).reshape(channels, -1)
            largest = magnitudes.amax(0)
            if layer in self._counts:
                counts += self._counts[layer]
                largest = torch.maximum(largest, self._largest[layer])
            self._counts[layer], self._largest[layer] = counts, largest

    def of(self, *layers: nn.Module, steps: int) -> Tensor:
        """The range that all of the layers' outputs are to have, float64 [C]: of some parts of the largest magnitude,
        that with the least squared error of clamping and of rounding to `steps` steps."""
        largest = torch.stack([self._largest[layer] for layer in layers]).amax(0).double()
        counts = torch.stack([self._counts[layer] for layer in layers]).sum(0)[:, 1:].double()
        centres = LOWEST * torch.exp2((torch.arange(BINS) + 0.5) / BINS_PER_OCTAVE).double()
        # Dead channels count as small, not as nothing.
        largest = largest.clamp(min=max(float(largest.max()) / 500, LOWEST))
        candidates = largest * torch.exp2(-torch.arange(5).double() / 4)[:, None]
        beyond = (centres - candidates[..., None]).clamp(min=0).square()
        rounding = torch.minimum(centres.square(), (candidates / steps)[..., None].square() / 12)
        errors = (counts * (beyond + rounding)).sum(-1)
        return candidates.gather(0, errors.argmin(0, keepdim=True))[0]


@torch.no_grad()
def activation_ranges(model: CompressionModel, crops: Sequence[npt.NDArray[np.uint8]]) -> Ranges:
    """Of prior and synthesis on crops uint8 [S, S, 3], each at several rates."""
    ranges = Ranges()
    observed = (Depthwise, Rectifier, Gate, Add, DepthwiseBlock)
    layers = [layer for part in (model.prior, model.synthesis) for layer in part.modules()]
    handles: list[Any] = [
        layer.register_forward_hook(ranges.observe) for layer in layers if isinstance(layer, observed)
    ]
    for crop in crops:
        x = torch.from_numpy(crop)[None].float() / 255 - 0.5
        for t in RATES:
            model(x, torch.tensor([t]))
    for handle in handles:
        handle.remove()
    return ranges
