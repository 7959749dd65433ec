"""The analysis transform, from pixels to latents, and the synthesis transform back.

Each is a linear transform of blocks of 16x16 pixels, which starts as the Karhunen-Loeve transform of the training set,
plus a correction by a network of residual blocks at 1/8 and 1/16 of the resolution. Gains from a `RateTable` make one
pair of transforms serve every rate.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...model.config import PATCH, ModelConfig
from ...model.constants import DEVIATION_LIMIT, DEVIATION_ONE
from .layers import Blocks, Pointwise, depth_to_space, space_to_depth

MAX_CORRECTION_SCALE = 0.25
"""Largest unit of the synthesis' correction, for pixels with a range of 1. Otherwise the unit is the quantisation step;
but pixels have a standard deviation of about 1/4, and a correction need not be larger."""


MOST_DEVIATIONS = DEVIATION_LIMIT / DEVIATION_ONE
"""Limit of the latents that enter the synthesis' network, in standard deviations: that of the integer network."""


PIXEL_SCALE = 4
"""Factor of the pixels that enter the analysis' network, which brings their standard deviation from about 1/4 to 1."""


class RateTable(nn.Module):
    """A learned vector for each rate t: a parameter at evenly spaced knots in [0, 1], interpolated linearly."""

    def __init__(self, initial: Tensor) -> None:
        """initial: the vectors at the knots, float32 [knots, C]."""
        super().__init__()
        self.knots = nn.Parameter(initial.clone())

    def forward(self, t: Tensor) -> Tensor:
        """The vectors, float32 [B, 1, 1, C], of rates t, float32 [B] in [0, 1]."""
        position = t * (self.knots.shape[0] - 1)
        low = position.floor().clamp(max=self.knots.shape[0] - 2)
        weight = (position - low)[:, None]
        index = low.long()
        values = self.knots[index] * (1 - weight) + self.knots[index + 1] * weight
        return values[:, None, None, :]


def base_step(config: ModelConfig, t: Tensor) -> Tensor:
    """The quantisation step that is optimal for lambda(t) at high rates, float32 [B, 1, 1, 1], for pixels with a range
    of 1. t: float32 [B] in [0, 1].

    A uniform quantiser has the distortion D = step^2 / 12, and dD/dR = -2 ln 2 D for each coefficient. The optimum is
    at D = 3 / (2 ln 2 lambda 255^2); the 3 is there because MSE is a mean over three colours, bits per pixel a sum.
    """
    distortion = 3 / (2 * math.log(2) * 255**2) / config.rate_weight(t)
    return (12 * distortion).sqrt()[:, None, None, None]


class Full(nn.Module):
    """A 1x1 convolution that runs in float32 even under autocast to bfloat16."""

    def __init__(self, inner: Pointwise) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = self.inner(x.float())
        return out


class AnalysisTransform(nn.Module):
    """The transform from pixels to latents, each channel in units of its standard deviation on the training set."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        n, wide = config.width_8, config.width_16
        self.config = config
        self.linear = Full(Pointwise(3 * PATCH * PATCH, config.latent_channels))
        self.enter = Full(Pointwise(3 * 64, n))
        self.gain_8 = RateTable(torch.zeros(config.knots, n))
        self.blocks_8 = Blocks(config.blocks_8, n)
        self.down = Pointwise(4 * n, wide)
        self.gain_16 = RateTable(torch.zeros(config.knots, wide))
        self.blocks_16 = Blocks(config.blocks_16, wide)
        self.leave = Full(Pointwise(wide, config.latent_channels, gain=0.0))

    def forward(self, x: Tensor, t: Tensor, sigma: Tensor) -> Tensor:
        """The latents, float32 [B, H/16, W/16, M], of images x, float32 [B, H, W, 3] in -0.5..0.5, H and W multiples of
        16, at rates t, float32 [B] in [0, 1]. sigma: the channels' standard deviations, float32 [M].
        """
        linear = self.linear(space_to_depth(x, PATCH))
        features = self.enter(PIXEL_SCALE * space_to_depth(x, 8)) * self.gain_8(t).exp()
        features = self.down(space_to_depth(self.blocks_8.limited(self.blocks_8(features)), 2))
        features = self.blocks_16(features * self.gain_16(t).exp())
        correction = self.leave(self.blocks_16.limited(features))
        # At high rates the standard deviation of a strong channel is hundreds of steps. A correction in that unit would
        # move its latents by many steps with every update of the weights, so the step is the unit.
        correction_scale = (base_step(self.config, t) / sigma).clamp(max=1)
        result: Tensor = linear / sigma + correction * correction_scale
        return result


class SynthesisTransform(nn.Module):
    """The transform from latents, in standard deviations, to pixels."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        n, wide = config.width_8, config.width_16
        self.config = config
        self.linear = Full(Pointwise(config.latent_channels, 3 * PATCH * PATCH))
        self.enter = Full(Pointwise(config.latent_channels, wide))
        self.gain_16 = RateTable(torch.zeros(config.knots, wide))
        self.blocks_16 = Blocks(config.blocks_16, wide)
        self.up = Pointwise(wide, 4 * n)
        self.gain_8 = RateTable(torch.zeros(config.knots, n))
        self.blocks_8 = Blocks(config.blocks_8, n)
        self.leave = Full(Pointwise(n, 3 * 64, gain=0.0))

    def forward(self, w: Tensor, t: Tensor, sigma: Tensor) -> Tensor:
        """The images, float32 [B, 16h, 16w, 3], about -0.5..0.5, of latents w, float32 [B, h, w, M] in standard
        deviations sigma, float32 [M], at rates t, float32 [B] in [0, 1].
        """
        linear = depth_to_space(self.linear(w * sigma), PATCH)
        features = self.enter(w.clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)) * self.gain_16(t).exp()
        features = self.up(self.blocks_16.limited(self.blocks_16(features)))
        features = self.blocks_8(depth_to_space(features, 2) * self.gain_8(t).exp())
        correction = depth_to_space(self.leave(self.blocks_8.limited(features)), 8)
        # The network corrects quantisation noise, which grows with the step, and at low rates the signal itself.
        result: Tensor = linear + correction * base_step(self.config, t).clamp(max=MAX_CORRECTION_SCALE)
        return result
