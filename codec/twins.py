"""The networks with integer layers in place of their own, for `freeze` to fill and `checkpoint` to read."""

from __future__ import annotations

from typing import Any

from torch import nn

from .config import ModelConfig
from .exact import Integer, IntegerAdd, IntegerJoin, IntegerRateTable
from .integers import HALF
from .layers import Add, ClassPointwise, DepthwiseBlock, Narrow, Pointwise
from .narrow import IntegerBlock, NarrowClassPointwise, Narrowing, NarrowPointwise, WidePointwise
from .prior import ContextStep, Prior
from .transforms import RateTable


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
        DepthwiseBlock: IntegerBlock,
        Add: lambda _: IntegerJoin(width) if known else IntegerAdd(),
        Narrow: lambda _: Narrowing(),
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
