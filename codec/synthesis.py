"""The integer twin of the synthesis transform: latents to pixels, the same on every device.

Networks run on integers, as the prior's do. What remains in floating point (the gains of a rate, the last sums) is one
IEEE 754 multiplication or addition at a time, in a given order, so that its rounding is given, too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import OPERAND_ZERO, PATCH, ROWS, ModelConfig
from .exact import exact_arithmetic, limited
from .integers import DEVIATION_LIMIT, HALF
from .layers import depth_to_space
from .narrow import IntegerBlock, NarrowPointwise, WidePointwise, halves
from .transforms import SynthesisTransform, typed


class LinearSynthesis(nn.Module):
    """1x1 convolution of numbers of 16 bits by weights of 16 bits, both in halves of 8: upper by upper and the two
    mixed products. Lower by lower would add less than a tenth of a level (root mean square)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.top = NarrowPointwise(weight, bias)
        # On the meta device, `repeat` would import a computer algebra system.
        self.middle = NarrowPointwise(torch.empty(len(weight), 2 * weight.shape[1]), bias)

    def forward(self, x: Tensor) -> Tensor:
        """x: float32 [..., inputs], whole numbers, limited to 16 bits -> float32 [..., outputs]."""
        # So that lower halves, too, have 128 for what stands for 0.
        x = (x + OPERAND_ZERO).clamp_(-HALF * OPERAND_ZERO, HALF * OPERAND_ZERO - 1)
        upper, lower = halves(x, HALF)
        return self.middle.sums_and(torch.cat([upper, lower], dim=-1), self.top.sums(upper))


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
        self.enter = WidePointwise(enter.weight, enter.bias, HALF)
        self.blocks_16 = nn.Sequential(*(IntegerBlock(block) for block in typed(source.blocks_16)))
        self.up = WidePointwise(source.up.weight, source.up.bias)
        self.blocks_8 = nn.Sequential(*(IntegerBlock(block) for block in typed(source.blocks_8)))
        self.leave = WidePointwise(leave.weight, leave.bias)
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
            pixels = depth_to_space(self.linear((steps * self.levels[row]).round_()), PATCH)
            deviations = steps.mul_(self.deviations[row]).round_().clamp_(-DEVIATION_LIMIT, DEVIATION_LIMIT)
            features = limited(self.enter.sums(deviations).mul_(self.gain_16[row]))
            features = limited(self.up.sums(self.blocks_16(features)).mul_(self.gain_8[row].repeat(4)))
            correction = self.leave.sums(self.blocks_8(depth_to_space(features, 2))).mul_(self.reach[row])
            return _add_correction(pixels, correction)


def _add_correction(pixels: Tensor, correction: Tensor) -> Tensor:
    """`pixels` [1, H, W, 3] plus depth_to_space(correction, 8), in place and without making that; correction:
    [1, H/8, W/8, 192]."""
    _, h, w, _ = correction.shape
    pixels.view(1, h, 8, w, 8, 3).add_(correction.view(1, h, w, 8, 8, 3).transpose(2, 3))
    return pixels
