"""The analysis transform that restores: from degraded pixels to the latents of clean ones."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch
from torch import Tensor

from ...model.config import PATCH, ModelConfig
from ...model.restoration import EXTRA_BLOCKS, MOST_STRENGTH
from .layers import Pointwise, space_to_depth
from .transforms import PIXEL_SCALE, AnalysisTransform, Full, RateTable, base_step


def rates_of(strength: Tensor) -> Tensor:
    """The rates t, float32 [B] in 0..1, that tell the transform of degradations whose root mean squared errors are
    `strength`, float32 [B] in levels: what `restoration.row_of_strength` gives in floating point."""
    return (1 - torch.log2(1 + strength) / math.log2(1 + MOST_STRENGTH)).clamp(0, 1)


def strengths_of(t: Tensor) -> Tensor:
    """The strengths, in levels, of rates t, float32 [B] in 0..1: the inverse of `rates_of`."""
    return (1 + MOST_STRENGTH) ** (1 - t) - 1


class RestoringTransform(AnalysisTransform):
    """The codec's analysis transform with more blocks at 1/8 and two more ways for them to say what is noise.

    A gain for each latent of the linear transform, by strength, takes away what noise has buried; a layer from the
    features at 1/8 reaches all latents, which the 192 features at 1/16 cannot. The rate tables are told the strength of
    the degradation instead of a rate (`rates_of`).
    """

    def __init__(self, config: ModelConfig) -> None:
        """config: of the codec's model; the transform has EXTRA_BLOCKS more at 1/8."""
        super().__init__(replace(config, blocks_8=config.blocks_8 + EXTRA_BLOCKS))
        m = config.latent_channels
        self.log_keep = RateTable(torch.zeros(config.knots, m))
        self.fine = Full(Pointwise(4 * config.width_8, m, gain=0.0))

    @torch.no_grad()
    def begin(self, source: AnalysisTransform, sigma: Tensor) -> None:
        """Takes over the codec's transform, whose channels have the standard deviations sigma, float32 [M]. New blocks
        change nothing at first, and gains are those of Wiener's filter for white noise of each strength."""
        own = {key: value for key, value in source.state_dict().items() if not key.startswith("blocks_8")}
        self.load_state_dict(own, strict=False)
        blocks = [*source.blocks_8.each, *(copy.deepcopy(source.blocks_8.each[-1]) for _ in range(EXTRA_BLOCKS))]
        for block in blocks[len(source.blocks_8.each) :]:
            for layer in (block.project, block.contract):
                layer.weight.zero_()
                layer.bias.zero_()
        for block, taken in zip(self.blocks_8.each, blocks, strict=True):
            block.load_state_dict(taken.state_dict())
        self.blocks_8.log_limit.copy_(source.blocks_8.log_limit)
        noise = strengths_of(torch.linspace(0, 1, self.config.knots))[:, None] / 255
        self.log_keep.knots.copy_((sigma.square() / (sigma.square() + noise.square())).log())

    def forward(self, x: Tensor, t: Tensor, sigma: Tensor) -> Tensor:
        """The latents, float32 [B, H/16, W/16, M], of images x, float32 [B, H, W, 3] in -0.5..0.5, H and W multiples of
        16, whose degradations have the strengths t, float32 [B] in [0, 1]. sigma: the channels' standard deviations,
        float32 [M].
        """
        linear = self.linear(space_to_depth(x, PATCH)) * self.log_keep(t).exp()
        features = self.enter(PIXEL_SCALE * space_to_depth(x, 8)) * self.gain_8(t).exp()
        features = space_to_depth(self.blocks_8.limited(self.blocks_8(features)), 2)
        fine = self.fine(features)
        features = self.blocks_16(self.down(features) * self.gain_16(t).exp())
        correction = self.leave(self.blocks_16.limited(features)) + fine
        result: Tensor = linear / sigma + correction * (base_step(self.config, t) / sigma).clamp(max=1)
        return result
