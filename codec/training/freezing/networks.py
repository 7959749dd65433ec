"""Networks to integers, layer by layer. A scale is what stands for 1 in a channel of integers."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from ...backends.tensors.exact import MAX_FACTOR, IntegerJoin, IntegerRateTable
from ...backends.tensors.frozen import FrozenModel, rates
from ...backends.tensors.narrow import NarrowClassPointwise
from ...model.config import ACTIVATION_LIMIT, LATENT_FRACTION, OPERAND_ZERO, SCALE_STEP
from ...model.constants import DEVIATION_ONE, INPUT_LIMIT, INPUT_ONE, LEVEL_ONE, MEAN_ONE, SCALE_ONE
from ..model.model import LOG_OFFSET, CompressionModel
from ..model.prior import HyperSynthesis
from ..model.transforms import MAX_REACH, PIXEL_SCALE, base_step
from .calibration import MeanInputs
from .layers import (
    Operands,
    freeze_blocks,
    freeze_fine,
    freeze_layer,
    freeze_linear,
    freeze_tensors,
    narrowed_scale,
    stream_scale,
)


def freeze_analysis(model: CompressionModel, frozen: FrozenModel, means: MeanInputs) -> None:
    """Pixels to latents."""
    source, target, sigma = model.analysis, frozen.latents, model.sigma.double()
    t = rates()
    target.gain_8.copy_(source.gain_8(t)[:, 0, 0].exp())
    target.gain_16.copy_(source.gain_16(t)[:, 0, 0].exp())
    target.reach.copy_((base_step(model.config, t)[:, 0, 0] / model.sigma).clamp(max=1))
    stream_8, stream_16 = map(stream_scale, (source.blocks_8, source.blocks_16))
    # Networks take pixels from -1/2 to 1/2, the correction's four times as large.
    for layer, twin, outputs, scale in (
        (source.linear.inner, target.linear, 1 / sigma, 1),
        (source.enter.inner, target.enter, stream_8, PIXEL_SCALE),
    ):
        weight, bias = layer.weight.double() * outputs[:, None], layer.bias.double() * outputs
        freeze_fine(scale * weight / 255, bias - scale * weight.sum(1) / 2, twin)
    freeze_blocks(source.blocks_8, target.blocks_8, stream_8, means)
    freeze_layer(source.down, target.down, Operands(stream_8.repeat(4), 0), Operands(stream_16, 0), means)
    freeze_blocks(source.blocks_16, target.blocks_16, stream_16, means)
    deviations = torch.ones_like(sigma)
    freeze_layer(source.leave.inner, target.leave, Operands(stream_16, 0), Operands(deviations, 0), means)


def freeze_hyper_analysis(model: CompressionModel, frozen: FrozenModel, means: MeanInputs) -> None:
    """Latents to hyper-latents."""
    source, target = model.hyper_analysis, frozen.hyper_latents
    magnitudes = torch.arange(INPUT_LIMIT + 1).double() / INPUT_ONE
    target.logs.copy_((magnitudes + LOG_OFFSET).log().mul(INPUT_ONE).round())
    target.gain.copy_(source.gain(rates())[:, 0, 0].exp())
    stream_16, stream_32 = map(stream_scale, (source.blocks_16, source.blocks_32))
    inputs = torch.full((source.enter.weight.shape[1],), float(INPUT_ONE)).double()
    freeze_layer(source.enter, target.enter, Operands(inputs, 0), Operands(stream_16, 0), means)
    freeze_blocks(source.blocks_16, target.blocks_16, stream_16, means)
    freeze_layer(source.down_32, target.down_32, Operands(stream_16.repeat(4), 0), Operands(stream_32, 0), means)
    freeze_blocks(source.blocks_32, target.blocks_32, stream_32, means)
    z = torch.ones_like(source.down_64.inner.bias).double()  # hyper-latents are integers
    freeze_layer(source.down_64.inner, target.down_64, Operands(stream_32.repeat(4), 0), Operands(z, 0), means)


def freeze_prior(model: CompressionModel, frozen: FrozenModel, means: MeanInputs) -> None:
    """What predicts latents, in encoder and decoder."""
    source, target = model.prior, frozen.prior
    hyper, steps = source.hyper_synthesis, source.context_steps
    stream_32, stream_16 = map(stream_scale, (hyper.blocks_32, hyper.blocks_16))
    _freeze_hyper(hyper, target.hyper_synthesis, stream_32, stream_16, means)
    group = model.config.latent_channels // 4
    parameters = torch.tensor([float(MEAN_ONE)] * group + [SCALE_ONE / SCALE_STEP] * group).double()
    for index, (step, twin) in enumerate(zip(steps, target.context_steps, strict=True)):
        stream = stream_16
        if index:
            stream = torch.minimum(stream_scale(step.blocks), MAX_FACTOR * stream_16)
            inputs = torch.full((model.config.latent_channels,), float(INPUT_ONE)).double()
            freeze_layer(step.enter, twin.enter, Operands(inputs, 0), Operands(stream, 0), means)
            assert isinstance(twin.add, IntegerJoin)
            twin.add.ratio.copy_(stream / stream_16)
        freeze_blocks(step.blocks, twin.blocks, stream, means)
        mean = means[step.leave]
        for k, layer in enumerate(cast(NarrowClassPointwise, twin.leave).classes):
            weight, bias = step.leave.weight[k].T, step.leave.bias[k, 0]
            freeze_tensors(weight, bias, layer, narrowed_scale(stream), Operands(parameters, 0), mean)


def _freeze_hyper(
    source: HyperSynthesis, target: HyperSynthesis, stream_32: Tensor, stream_16: Tensor, means: MeanInputs
) -> None:
    z = torch.ones(source.enter.weight.shape[1]).double()  # hyper-latents are integers already
    freeze_layer(source.enter, target.enter, Operands(z, OPERAND_ZERO), Operands(stream_32.repeat(4), 0), means)
    assert isinstance(target.rate, IntegerRateTable)
    table = (source.rate(rates())[:, 0, 0] * stream_32).round()
    target.rate.rows.copy_(table.clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT))
    freeze_blocks(source.blocks_32, target.blocks_32, stream_32, means)
    freeze_layer(source.up, target.up, narrowed_scale(stream_32), Operands(stream_16.repeat(4), 0), means)
    freeze_blocks(source.blocks_16, target.blocks_16, stream_16, means)


def freeze_synthesis(model: CompressionModel, frozen: FrozenModel, means: MeanInputs) -> None:
    """Latents to pixels."""
    source, target = model.synthesis, frozen.pixels
    t = rates()
    # Sixteenths of a step to deviations.
    restore = ((model.log_shrink(t) - model.log_gain(t))[:, 0, 0].exp() / model.sigma / LATENT_FRACTION).float()
    target.levels.copy_(255 * LEVEL_ONE * model.sigma * restore)
    target.deviations.copy_(DEVIATION_ONE * restore)
    target.gain_16.copy_(source.gain_16(t)[:, 0, 0].exp())
    target.gain_8.copy_(source.gain_8(t)[:, 0, 0].exp())
    target.reach.copy_(base_step(model.config, t)[:, 0, 0].clamp(max=MAX_REACH))
    freeze_linear(source.linear.inner, target.linear)
    stream_16, stream_8 = map(stream_scale, (source.blocks_16, source.blocks_8))
    inputs = torch.full_like(model.sigma, DEVIATION_ONE).double()
    freeze_layer(source.enter.inner, target.enter, Operands(inputs, 0), Operands(stream_16, 0), means)
    freeze_blocks(source.blocks_16, target.blocks_16, stream_16, means)
    freeze_layer(source.up, target.up, Operands(stream_16, 0), Operands(stream_8.repeat(4), 0), means)
    freeze_blocks(source.blocks_8, target.blocks_8, stream_8, means)
    levels = torch.full_like(source.leave.inner.bias, 255).double()
    freeze_layer(source.leave.inner, target.leave, Operands(stream_8, 0), Operands(levels, 0), means)
