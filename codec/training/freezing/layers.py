"""Freezing of layers: weights rescaled to the integers that their inputs and outputs are, rounded to int8, and kept so
small that sums are exact (model/integer_weights.py)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ....bitstream.errors import WeightsError
from ...model.config import ACTIVATION_LIMIT, OPERAND_LIMIT, OPERAND_STEP, OPERAND_ZERO
from ...model.constants import ACCUMULATOR_LIMIT, HALF, LEVEL_ONE, MAX_EXPONENT, MAX_OUTPUT, MIN_EXPONENT, WEIGHT_LIMIT
from ..model.layers import Blocks, Depthwise, DepthwiseBlock, Pointwise
from .calibration import MeanInputs

Frozen = dict[str, Tensor]
"""The tensors of the integer networks by name, with the dtypes that they have in a weights file."""


class Operands(NamedTuple):
    """How integers represent a layer's inputs or outputs, by channel: the integer is scale * value + zero. scale:
    float64 [C]; zero, the zero point: float64 [C] or one number."""

    scale: Tensor
    zero: Tensor | float = 0


def stream_scale(blocks: Blocks) -> Tensor:
    """The scale of the activations that residual blocks add to, float64 [C]: ACTIVATION_LIMIT for their limit."""
    return ACTIVATION_LIMIT / blocks.log_limit.double().exp()


def store(frozen: Frozen, name: str, values: Tensor, dtype: torch.dtype) -> None:
    """Adds values, integers or powers of two, to the frozen tensors in another dtype. Raises WeightsError if it does
    not hold them exactly."""
    frozen[name] = values.to(dtype)
    if not torch.equal(frozen[name].to(values.dtype), values):
        raise WeightsError(f"{name} has other numbers than {dtype} holds")


def freeze_blocks(source: Blocks, frozen: Frozen, name: str, stream: Tensor, means: MeanInputs) -> None:
    """Freezes residual blocks one after another. stream: the scale of the activations that they share, float64 [C]."""
    for index, block in enumerate(source.each):
        _freeze_block(block, frozen, f"{name}.{index}", stream, means)


def _freeze_block(block: DepthwiseBlock, frozen: Frozen, name: str, stream: Tensor, means: MeanInputs) -> None:
    inputs = narrowed_scale(stream)
    scale = OPERAND_LIMIT / block.rectified.limits()[1].double()
    mixed = Operands(_capped(scale, block.mix.weight, block.mix.bias, inputs))
    low, high = (limit.double() for limit in block.filtered.limits())
    scale = _capped(OPERAND_LIMIT / (high - low), block.spatial.weight, block.spatial.bias, mixed)
    spatial = Operands(scale, OPERAND_LIMIT * -low / (high - low))
    (value, gate), (value_bias, gate_bias) = block.expand.weight.chunk(2), block.expand.bias.chunk(2)
    scale = OPERAND_ZERO / block.gated.limits()[1].double()
    gated = Operands(_capped(scale, value, value_bias, inputs), OPERAND_ZERO)
    freeze_layer(block.mix, frozen, f"{name}.mix", inputs, mixed, means)
    freeze_layer(block.spatial, frozen, f"{name}.spatial", mixed, spatial, means)
    freeze_layer(block.project, frozen, f"{name}.project", spatial, Operands(stream), means)
    # The layer `expand` becomes two, values and gates, so that the outputs of each are contiguous. The scale of values
    # is that of their product with gates, whose own scale is 1.
    for weight, bias, key, outputs in (
        (value, value_bias, "value", gated.scale),
        (gate, gate_bias, "gate", torch.ones_like(gated.scale)),
    ):
        freeze_tensors(weight, bias, frozen, f"{name}.{key}", inputs, Operands(outputs), means[block.expand])
    freeze_layer(block.contract, frozen, f"{name}.contract", gated, Operands(stream), means)


def _capped(scale: Tensor, weight: Tensor, bias: Tensor, inputs: Operands) -> Tensor:
    """The scale of a layer's outputs, made smaller where outputs could be beyond MAX_OUTPUT, as in channels that are
    all but dead."""
    each = (-1,) if weight.ndim == 2 else (-1, 1, 1, 1)  # a depthwise layer has one input channel for each output
    largest = (weight.double().abs() / inputs.scale.reshape(each)).flatten(1).sum(1) * OPERAND_LIMIT
    # Half of it is left for the part of the bias that makes up for zero points.
    return torch.minimum(scale, MAX_OUTPUT / 2 / (largest + bias.double().abs()))


def narrowed_scale(stream: Tensor) -> Operands:
    """The operands that narrow layers make of activations of this scale, float64 [C]."""
    return Operands(stream / OPERAND_STEP, OPERAND_ZERO)


def freeze_layer(
    layer: Pointwise | Depthwise, frozen: Frozen, name: str, inputs: Operands, outputs: Operands, means: MeanInputs
) -> None:
    """Freezes a trained layer by the name that it has in a weights file."""
    freeze_tensors(layer.weight, layer.bias, frozen, name, inputs, outputs, means[layer])


def freeze_tensors(
    weight: Tensor, bias: Tensor, frozen: Frozen, name: str, inputs: Operands, outputs: Operands, mean: Tensor
) -> None:
    """Freezes a layer of these weights and biases: multiplied by the scale of outputs over that of inputs, they become
    integers times the finest power of two with which sums stay exact. mean: the mean inputs, float64 [inputs]; what the
    rounding of weights adds to the sums for them is taken from the biases."""
    weight, bias = weight.double(), bias.double() * outputs.scale
    each = (-1,) + (1,) * (weight.ndim - 1)
    scale, zero = inputs.scale, torch.as_tensor(inputs.zero, dtype=torch.float64).expand_as(inputs.scale)
    if weight.ndim == 4:
        # A depthwise layer has one input channel for each output.
        scale, zero, mean = scale.reshape(each), zero.reshape(each), mean.reshape(each)
    weight = weight * outputs.scale.reshape(each) / scale
    axes = tuple(range(1, weight.ndim))
    terms = weight[0].numel()
    bias = bias + outputs.zero
    # Rounding adds at most 1/2 to each weight, and to the bias what makes up for that.
    room = (
        ACCUMULATOR_LIMIT
        - 2
        - (OPERAND_LIMIT + zero.max()) * terms / 2
        - (scale * mean).abs().expand_as(weight).sum(axes) / 2
    )
    # The bias makes up for the inputs' zero points.
    sums = weight.abs().sum(axes) * OPERAND_LIMIT + bias.abs() + (weight * zero).sum(axes).abs()
    exponent = torch.minimum(room / sums, WEIGHT_LIMIT / weight.abs().amax(axes)).log2().floor()
    factor = torch.exp2(exponent.clamp(MIN_EXPONENT, MAX_EXPONENT))
    whole = (weight * factor.reshape(each)).round()
    rounding = (whole - weight * factor.reshape(each)) * scale * mean
    # Zero points must count as 0, and mean inputs must give the sums that they gave before weights were rounded.
    bias = (bias * factor - (whole * zero + rounding).sum(axes)).round()
    _store_layer(frozen, name, whole, bias, 1 / factor)


def _store_layer(frozen: Frozen, name: str, weight: Tensor, bias: Tensor, multiplier: Tensor) -> None:
    """Adds the tensors of a layer to the frozen ones. Raises WeightsError if their dtypes do not hold the numbers."""
    store(frozen, f"{name}.weight", weight, torch.int8)
    store(frozen, f"{name}.bias", bias, torch.int32)
    store(frozen, f"{name}.multiplier", multiplier, torch.float32)


def freeze_linear(layer: Pointwise, frozen: Frozen, name: str) -> None:
    """Freezes the synthesis' linear transform, from latents in units of 1 / LEVEL_ONE to levels of 8-bit pixels, as two
    layers: `top` for products of upper bytes, `middle` for the two mixed products (`Layers.linear`)."""
    weight, bias = layer.weight.double(), 255 * layer.bias.double() + 127.5
    exponent = ((2**15 - HALF) / weight.abs().amax(1)).log2().floor()
    while True:
        upper, lower = _halves(weight, exponent)
        # Outputs whose sums would not be exact get a coarser unit, and with it smaller weights; 5 % is left for biases.
        heavy = (upper.abs() + lower.abs()).sum(1) * OPERAND_LIMIT > 0.95 * ACCUMULATOR_LIMIT
        if not heavy.any():
            break
        exponent -= heavy.double()
    unit = torch.exp2(-exponent) / LEVEL_ONE
    bias = bias / (unit * HALF)
    above = (bias / HALF).round()
    mixed = torch.cat([lower, upper], dim=1)
    lesser = (bias - HALF * above).round() - OPERAND_ZERO * mixed.sum(1)
    _store_layer(frozen, f"{name}.top", upper, above - OPERAND_ZERO * upper.sum(1), unit * HALF**2)
    _store_layer(frozen, f"{name}.middle", mixed, lesser, unit * HALF)


def freeze_fine(weight: Tensor, bias: Tensor, frozen: Frozen, name: str) -> None:
    """Freezes a layer from bytes with weights of 16 bits as two, `upper` and `lower`, for the bytes of the weights
    (`Layers.fine`). weight: float64 [outputs, inputs], in units of outputs over bytes; bias: float64 [outputs]."""
    exponent = ((2**15 - HALF) / weight.abs().amax(1)).log2().floor().clamp(max=MAX_EXPONENT)
    while True:
        upper, lower = _halves(weight, exponent)
        whole = bias * torch.exp2(exponent)
        above = (whole / HALF).round()
        heavy = upper.abs().sum(1) * OPERAND_LIMIT + above.abs() > 0.95 * ACCUMULATOR_LIMIT
        if not heavy.any():
            break
        exponent -= heavy.double()
    unit = torch.exp2(-exponent)
    _store_layer(frozen, f"{name}.upper", upper, above, HALF * unit)
    _store_layer(frozen, f"{name}.lower", lower, (whole - HALF * above).round(), unit)


def _halves(weight: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
    """The two bytes of weights, [outputs, inputs], times 2^exponent, [outputs], rounded: the upper in units of HALF,
    and the rest, with sign."""
    whole = (weight * torch.exp2(exponent)[:, None]).round()
    upper = (whole / HALF).round()
    return upper, (whole - HALF * upper).clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT)
