"""The integer twin of the synthesis transform: latents to pixels, the same on every device.

Networks run on integers, as the prior's do. What remains in floating point (the gains of a rate, the last sums) is one
IEEE 754 multiplication or addition at a time, in a given order, so that its rounding is given, too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import OPERAND_ZERO, PATCH, ROWS, ModelConfig
from .exact import IntegerPointwise, exact_arithmetic, limited
from .layers import depth_to_space
from .narrow import IntegerBlock, NarrowPointwise, operands
from .transforms import SynthesisTransform, add_correction, typed

LEVEL_ONE = 2**3
"""Latents enter the linear transform in eighths of a level of 8 bits."""

DEVIATION_ONE, DEVIATION_LIMIT = 2**5, 2**11 - 1
"""Latents enter the network in these parts of their standard deviation, at most so many: 64 deviations, which drawings
come near to."""

HALF = 2**8
"""What the upper halves of the 16 bits that the linear transform takes are multiples of."""


class LinearSynthesis(nn.Module):
    """1x1 convolution of numbers of 16 bits by weights of 16 bits, both in halves of 8: upper by upper, the two mixed
    products, and lower by lower."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.top = NarrowPointwise(weight, bias)
        self.middle = NarrowPointwise(torch.empty(len(weight), 2 * weight.shape[1]), bias)
        self.bottom = NarrowPointwise(weight, bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: float32 [..., inputs], whole numbers from -2^15 to 2^15 - 1 -> float32 [..., outputs]."""
        raised = x + HALF * OPERAND_ZERO
        upper = (raised / HALF).floor_()
        lower = operands(raised.sub_(upper, alpha=HALF))
        upper = operands(upper)
        sums = self.top.sums(upper).add_(self.middle.sums(torch.cat([upper, lower], dim=-1)))
        return sums.add_(self.bottom.sums(lower))


class IntegerSynthesis(nn.Module):
    """Latents to pixels; made by `freeze`."""

    levels: Tensor
    deviations: Tensor
    gain_16: Tensor
    gain_8: Tensor
    reach: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        source = SynthesisTransform(config)
        linear, enter, leave = source.linear.inner, source.enter.inner, source.leave.inner
        self.linear = LinearSynthesis(linear.weight, linear.bias)
        self.enter = IntegerPointwise(enter.weight, enter.bias, input_limit=DEVIATION_LIMIT)
        self.blocks_16 = nn.Sequential(*(IntegerBlock(block) for block in typed(source.blocks_16)))
        self.up = IntegerPointwise(source.up.weight, source.up.bias)
        self.blocks_8 = nn.Sequential(*(IntegerBlock(block) for block in typed(source.blocks_8)))
        self.leave = IntegerPointwise(leave.weight, leave.bias)
        for name, size in (
            ("levels", config.latent_channels),  # sixteenths of a step to the linear transform's input
            ("deviations", config.latent_channels),  # the same to the network's
            ("gain_16", config.width_16),
            ("gain_8", config.width_8),
            ("reach", 1),  # the network's output to levels
        ):
            self.register_buffer(name, torch.zeros(ROWS, size))

    def forward(self, latents: Tensor, row: int) -> Tensor:
        """int32 [1, h, w, M] in sixteenths of a step -> float32 [1, 16h, 16w, 3], about 0..255, not rounded."""
        with exact_arithmetic():
            steps = latents.float()
            linear = (steps * self.levels[row]).round_().clamp_(-HALF * OPERAND_ZERO, HALF * OPERAND_ZERO - 1)
            pixels = depth_to_space(self.linear(linear), PATCH)
            deviations = steps.mul_(self.deviations[row]).round_().clamp_(-DEVIATION_LIMIT, DEVIATION_LIMIT)
            features = limited(self.enter.sums(deviations).mul_(self.gain_16[row]))
            features = limited(self.up.sums(self.blocks_16(features)).mul_(self.gain_8[row].repeat(4)))
            correction = self.leave.sums(self.blocks_8(depth_to_space(features, 2))).mul_(self.reach[row])
            return add_correction(pixels, correction)
