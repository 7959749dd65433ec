"""Freezing of networks, layer by layer: which scale each layer's inputs and outputs have as integers.

Scales, float64 [C], are the integers that stand for 1 in each channel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...model.config import ACTIVATION_LIMIT, LATENT_FRACTION, OPERAND_ZERO, ROWS, SCALE_STEP
from ...model.constants import DEVIATION_ONE, INPUT_LIMIT, INPUT_ONE, LEVEL_ONE, MAX_FACTOR, MEAN_ONE, SCALE_ONE
from ...model.rate import rate_of
from ..model.model import LOG_OFFSET, CompressionModel
from ..model.prior import HyperSynthesis
from ..model.restoring import RestoringTransform
from ..model.transforms import MAX_CORRECTION_SCALE, PIXEL_SCALE, base_step
from .calibration import MeanInputs
from .layers import (
    Frozen,
    Operands,
    freeze_blocks,
    freeze_fine,
    freeze_layer,
    freeze_linear,
    freeze_tensors,
    narrowed_scale,
    store,
    stream_scale,
)


def rates() -> Tensor:
    """The rates t of all 256 rate indices, float32 [256] in [0, 1]."""
    return torch.tensor([rate_of(row) for row in range(ROWS)])


def freeze_analysis(model: CompressionModel, frozen: Frozen, means: MeanInputs) -> None:
    """Freezes the analysis, from pixels to latents in standard deviations."""
    source, sigma = model.analysis, model.sigma.double()
    t = rates()
    frozen["latents.gain_8"] = source.gain_8(t)[:, 0, 0].exp()
    frozen["latents.gain_16"] = source.gain_16(t)[:, 0, 0].exp()
    frozen["latents.reach"] = (base_step(model.config, t)[:, 0, 0] / model.sigma).clamp(max=1)
    stream_8, stream_16 = map(stream_scale, (source.blocks_8, source.blocks_16))
    # In training pixels are -1/2 to 1/2, for the correcting network PIXEL_SCALE times that; here they are 0..255.
    for layer, name, outputs, scale in (
        (source.linear.inner, "latents.linear", 1 / sigma, 1),
        (source.enter.inner, "latents.enter", stream_8, PIXEL_SCALE),
    ):
        weight, bias = layer.weight.double() * outputs[:, None], layer.bias.double() * outputs
        freeze_fine(scale * weight / 255, bias - scale * weight.sum(1) / 2, frozen, name)
    freeze_blocks(source.blocks_8, frozen, "latents.blocks_8", stream_8, means)
    freeze_layer(source.down, frozen, "latents.down", Operands(stream_8.repeat(4)), Operands(stream_16), means)
    freeze_blocks(source.blocks_16, frozen, "latents.blocks_16", stream_16, means)
    deviations = torch.ones_like(sigma)
    freeze_layer(source.leave.inner, frozen, "latents.leave", Operands(stream_16), Operands(deviations), means)


def freeze_restoring(model: CompressionModel, frozen: Frozen, means: MeanInputs) -> None:
    """Freezes what a transform that restores has beyond an analysis transform."""
    source = model.analysis
    assert isinstance(source, RestoringTransform)
    frozen["latents.keep"] = source.log_keep(rates())[:, 0, 0].exp()
    inputs, deviations = stream_scale(source.blocks_8).repeat(4), torch.ones_like(model.sigma.double())
    freeze_layer(source.fine.inner, frozen, "latents.fine", Operands(inputs), Operands(deviations), means)


def freeze_hyper_analysis(model: CompressionModel, frozen: Frozen, means: MeanInputs) -> None:
    """Freezes the hyper-analysis, from latents to hyper-latents."""
    source, name = model.hyper_analysis, "hyper_latents"
    magnitudes = torch.arange(INPUT_LIMIT + 1).double() / INPUT_ONE
    store(frozen, f"{name}.logs", (magnitudes + LOG_OFFSET).log().mul(INPUT_ONE).round(), torch.int16)
    frozen[f"{name}.gain"] = source.gain(rates())[:, 0, 0].exp()
    stream_16, stream_32 = map(stream_scale, (source.blocks_16, source.blocks_32))
    inputs = torch.full((source.enter.weight.shape[1],), float(INPUT_ONE)).double()
    freeze_layer(source.enter, frozen, f"{name}.enter", Operands(inputs), Operands(stream_16), means)
    freeze_blocks(source.blocks_16, frozen, f"{name}.blocks_16", stream_16, means)
    freeze_layer(source.down_32, frozen, f"{name}.down_32", Operands(stream_16.repeat(4)), Operands(stream_32), means)
    freeze_blocks(source.blocks_32, frozen, f"{name}.blocks_32", stream_32, means)
    z = torch.ones_like(source.down_64.inner.bias).double()  # hyper-latents are integers
    freeze_layer(source.down_64.inner, frozen, f"{name}.down_64", Operands(stream_32.repeat(4)), Operands(z), means)


def freeze_prior(model: CompressionModel, frozen: Frozen, means: MeanInputs) -> None:
    """Freezes the prior: hyper-synthesis and context steps."""
    hyper, steps = model.prior.hyper_synthesis, model.prior.context_steps
    stream_32, stream_16 = map(stream_scale, (hyper.blocks_32, hyper.blocks_16))
    _freeze_hyper(hyper, frozen, stream_32, stream_16, means)
    group = model.config.latent_channels // 4
    parameters = torch.tensor([float(MEAN_ONE)] * group + [SCALE_ONE / SCALE_STEP] * group).double()
    for index, step in enumerate(steps):
        name, stream = f"prior.steps.{index}", stream_16
        if index:
            stream = torch.minimum(stream_scale(step.blocks), MAX_FACTOR * stream_16)
            inputs = torch.full((model.config.latent_channels,), float(INPUT_ONE)).double()
            freeze_layer(step.enter, frozen, f"{name}.enter", Operands(inputs), Operands(stream), means)
            frozen[f"{name}.add.ratio"] = (stream / stream_16).float()
        freeze_blocks(step.blocks, frozen, f"{name}.blocks", stream, means)
        given, outputs, mean = narrowed_scale(stream), Operands(parameters), means[step.leave]
        for k, (weight, bias) in enumerate(zip(step.leave.weight, step.leave.bias, strict=True)):
            freeze_tensors(weight.T, bias[0], frozen, f"{name}.leave.classes.{k}", given, outputs, mean)


def _freeze_hyper(
    source: HyperSynthesis, frozen: Frozen, stream_32: Tensor, stream_16: Tensor, means: MeanInputs
) -> None:
    """Freezes the hyper-synthesis. stream_32, stream_16: the scales of activations at 1/32 and 1/16."""
    name = "prior.hyper_synthesis"
    z = torch.ones(source.enter.weight.shape[1]).double()  # hyper-latents are integers already
    outputs = Operands(stream_32.repeat(4))
    freeze_layer(source.enter, frozen, f"{name}.enter", Operands(z, OPERAND_ZERO), outputs, means)
    table = (source.rate(rates())[:, 0, 0] * stream_32).round()
    store(frozen, f"{name}.rate.rows", table.clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT), torch.int16)
    freeze_blocks(source.blocks_32, frozen, f"{name}.blocks_32", stream_32, means)
    outputs = Operands(stream_16.repeat(4))
    freeze_layer(source.up, frozen, f"{name}.up", narrowed_scale(stream_32), outputs, means)
    freeze_blocks(source.blocks_16, frozen, f"{name}.blocks_16", stream_16, means)


def freeze_synthesis(model: CompressionModel, frozen: Frozen, means: MeanInputs) -> None:
    """Freezes the synthesis, from latents to pixels in levels 0..255."""
    source, t = model.synthesis, rates()
    # Latents in sixteenths of a step to standard deviations.
    restore = ((model.log_shrink(t) - model.log_gain(t))[:, 0, 0].exp() / model.sigma / LATENT_FRACTION).float()
    frozen["pixels.levels"] = 255 * LEVEL_ONE * model.sigma * restore
    frozen["pixels.deviations"] = DEVIATION_ONE * restore
    frozen["pixels.gain_16"] = source.gain_16(t)[:, 0, 0].exp()
    frozen["pixels.gain_8"] = source.gain_8(t)[:, 0, 0].exp()
    frozen["pixels.reach"] = base_step(model.config, t)[:, 0, 0].clamp(max=MAX_CORRECTION_SCALE)
    freeze_linear(source.linear.inner, frozen, "pixels.linear")
    stream_16, stream_8 = map(stream_scale, (source.blocks_16, source.blocks_8))
    inputs = torch.full_like(model.sigma, DEVIATION_ONE).double()
    freeze_layer(source.enter.inner, frozen, "pixels.enter", Operands(inputs), Operands(stream_16), means)
    freeze_blocks(source.blocks_16, frozen, "pixels.blocks_16", stream_16, means)
    freeze_layer(source.up, frozen, "pixels.up", Operands(stream_16), Operands(stream_8.repeat(4)), means)
    freeze_blocks(source.blocks_8, frozen, "pixels.blocks_8", stream_8, means)
    levels = torch.full_like(source.leave.inner.bias, 255).double()
    freeze_layer(source.leave.inner, frozen, "pixels.leave", Operands(stream_8), Operands(levels), means)
