"""The integer twins of analysis and hyper-analysis: pixels to latents and hyper-latents, the same on every device.

No decoder needs that. With it, a picture becomes the same file wherever it is encoded, and operands of 8 bits, of which
pixels are the first, are multiplied faster than floating-point numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...model.config import ACTIVATION_LIMIT, PATCH, ROWS, ModelConfig
from ...model.constants import HALF, INPUT_LIMIT, INPUT_ONE, RUNAWAY
from ...training.model.layers import space_to_depth
from ...training.model.model import HyperAnalysis
from ...training.model.transforms import AnalysisTransform
from .exact import exact_arithmetic, limited
from .narrow import NarrowPointwise, WidePointwise
from .twins import IntegerBlocks


class FinePointwise(nn.Module):
    """1x1 convolution of operands by weights of 16 bits, in halves of 8."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.upper = NarrowPointwise(weight, bias)
        self.lower = NarrowPointwise(weight, bias)

    def forward(self, u: Tensor) -> Tensor:
        """Operands [..., inputs] to float32 [..., outputs]: two exact sums, what they add up to is rounded."""
        sums: Tensor = self.upper(u)
        return sums.add_(self.lower(u))


class IntegerAnalysis(nn.Module):
    """Pixels to latents; made by `freeze`."""

    gain_8: Tensor
    gain_16: Tensor
    reach: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        source = AnalysisTransform(config)
        linear, enter, leave = source.linear.inner, source.enter.inner, source.leave.inner
        self.linear = FinePointwise(linear.weight, linear.bias)
        self.enter = FinePointwise(enter.weight, enter.bias)
        self.blocks_8 = IntegerBlocks(source.blocks_8)
        self.down = WidePointwise(source.down.weight, source.down.bias)
        self.blocks_16 = IntegerBlocks(source.blocks_16)
        self.leave = WidePointwise(leave.weight, leave.bias)
        for name, size in (
            ("gain_8", config.width_8),
            ("gain_16", config.width_16),
            ("reach", config.latent_channels),  # the network's output to standard deviations
        ):
            self.register_buffer(name, torch.zeros(ROWS, size))

    def forward(self, pixels: Tensor, row: int) -> Tensor:
        """uint8 [B, H, W, 3], H and W multiples of 16 -> latents in standard deviations, float32 [B, H/16, W/16, M]."""
        with exact_arithmetic():
            # Samples from 0 to 255 are operands as they are.
            features = self.enter(space_to_depth(pixels, PATCH // 2).float())
            features = self.blocks_8(features.mul_(self.gain_8[row]))
            features = self.down(limited(space_to_depth(features, 2))).mul_(self.gain_16[row])
            linear = self.linear_latents(pixels)
            correction: Tensor = self.leave(limited(self.blocks_16(features))).mul_(self.reach[row])
            runaway = correction.abs().amax(-1, keepdim=True) > RUNAWAY
            return correction.masked_fill_(runaway, 0).add_(linear)

    def linear_latents(self, pixels: Tensor) -> Tensor:
        """The same by the linear transform alone."""
        with exact_arithmetic():
            latents: Tensor = self.linear(space_to_depth(pixels, PATCH).float())
            return latents


class IntegerHyperAnalysis(nn.Module):
    """Latents to hyper-latents; made by `freeze`."""

    logs: Tensor
    gain: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        source = HyperAnalysis(config)
        down_64 = source.down_64.inner
        self.enter = WidePointwise(source.enter.weight, source.enter.bias, HALF)
        self.blocks_16 = IntegerBlocks(source.blocks_16)
        self.down_32 = WidePointwise(source.down_32.weight, source.down_32.bias)
        self.blocks_32 = IntegerBlocks(source.blocks_32)
        self.down_64 = WidePointwise(down_64.weight, down_64.bias)
        # Of magnitudes 0, 1 .. INPUT_LIMIT: a table, since libraries differ in the last bit of a logarithm.
        self.register_buffer("logs", torch.zeros(INPUT_LIMIT + 1))
        self.register_buffer("gain", torch.zeros(ROWS, config.prior_width))

    def forward(self, y: Tensor, row: int) -> Tensor:
        """Latents in standard deviations, float32 [B, h, w, M] -> hyper-latents, int32 [B, h/4, w/4, Z]."""
        with exact_arithmetic():
            inputs = (y * INPUT_ONE).round_().clamp_(-INPUT_LIMIT, INPUT_LIMIT)
            logs = self.logs.index_select(0, inputs.abs().int().flatten()).reshape(y.shape)
            features = self.enter(torch.cat([inputs, logs], dim=-1)).mul_(self.gain[row])
            features = self.down_32(limited(space_to_depth(self.blocks_16(features), 2)))
            z: Tensor = self.down_64(limited(space_to_depth(self.blocks_32(features), 2)))
            return z.round_().clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT).int()
