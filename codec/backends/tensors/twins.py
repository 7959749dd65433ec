"""The block of integer layers, and the prior with such layers in place of its own, for `freeze` to fill and
`checkpoint` to read."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ...model.config import ModelConfig
from ...model.constants import HALF
from ...training.model.layers import Add, Blocks, ClassPointwise, DepthwiseBlock, Pointwise, in_parts
from ...training.model.prior import ContextStep, Prior
from ...training.model.transforms import RateTable
from .exact import Integer, IntegerJoin, IntegerRateTable
from .narrow import (
    NarrowClassPointwise,
    NarrowDepthwise,
    NarrowPointwise,
    WidePointwise,
    narrowed,
    operands,
)


class IntegerBlock(nn.Module):
    """Integer twin of `DepthwiseBlock`: activations, contiguous float32 [B, H, W, C], to the same, in place.

    The rectifier after `mix` needs no pass of its own: operands begin at 0.
    """

    def __init__(self, block: DepthwiseBlock) -> None:
        super().__init__()
        self.mix = NarrowPointwise(block.mix.weight, block.mix.bias)
        self.spatial = NarrowDepthwise(block.spatial.weight, block.spatial.bias)
        self.project = NarrowPointwise(block.project.weight, block.project.bias)
        half = len(block.expand.bias) // 2
        # Apart, so that what follows finds each of them contiguous.
        self.value = NarrowPointwise(block.expand.weight[:half], block.expand.bias[:half])
        self.gate = NarrowPointwise(block.expand.weight[half:], block.expand.bias[half:])
        self.contract = NarrowPointwise(block.contract.weight, block.contract.bias)

    def forward(self, x: Tensor) -> Tensor:
        x.add_(self.project(self.spatial.operands(self.mix.operands(narrowed(x)))))
        for part in in_parts(x):
            self._mix_channels(part)
        return x

    def _mix_channels(self, x: Tensor) -> None:
        """In place."""
        u = narrowed(x)
        # The one product whose factors are not small: rounded once, as IEEE 754 has it on every device.
        x.add_(self.contract(operands(self.value(u).mul_(self.gate.limited_sums(u)))))


class IntegerBlocks(nn.Sequential):
    """Integer twin of `Blocks`."""

    def __init__(self, blocks: Blocks) -> None:
        super().__init__(*(IntegerBlock(block) for block in blocks.each))

    def narrow(self, x: Tensor) -> Tensor:
        """Activations to operands."""
        return narrowed(x)


def integer_prior(config: ModelConfig) -> Prior:
    """A prior with the structure of the trained one and integer layers."""
    prior = Prior(config)
    for parent in list(prior.modules()):
        for name, layer in list(parent.named_children()):
            twin = _twin(layer, config.prior_width, known=isinstance(parent, ContextStep))
            if twin is not None:
                setattr(parent, name, twin)
    return prior


def _twin(layer: nn.Module, width: int, *, known: bool) -> nn.Module | None:
    """known: whether a 1x1 layer takes latents, which in 8 bits would cost 0.2 % of the rate, and a sum joins features
    to what is made of those."""
    kinds: dict[type[nn.Module], Any] = {
        Pointwise: lambda p: WidePointwise(p.weight, p.bias, HALF) if known else NarrowPointwise(p.weight, p.bias),
        ClassPointwise: lambda p: NarrowClassPointwise(p.weight, p.bias),
        Blocks: IntegerBlocks,
        Add: lambda add: IntegerJoin(width) if known else add,
        RateTable: lambda r: IntegerRateTable(r.knots.shape[1]),
    }
    make = kinds.get(type(layer))
    return make(layer) if make else None


def settle(network: nn.Module) -> None:
    """Makes all integer layers of a network ready, now that their buffers have their values. Raises WeightsError unless
    each of them is exact."""
    for layer in network.modules():
        if isinstance(layer, Integer):
            layer.settle()
