"""The integer twin of the synthesis transform: latents to pixels, the same on every device.

Products of whole numbers and their sums are exact, as the prior's are. What remains in floating point (activations, the
gains of a rate, the last sums) is one IEEE 754 multiplication or addition at a time, in a given order, so that its
rounding is given, too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...model.config import OPERAND_ZERO, PATCH, ROWS, ModelConfig
from ...model.constants import DEVIATION_LIMIT, HALF
from ...training.model.layers import depth_to_space
from ...training.model.transforms import SynthesisTransform
from .exact import exact_arithmetic, limited
from .narrow import NarrowPointwise, WidePointwise, halves, samples
from .twins import IntegerBlocks


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
        sums: Tensor = self.top(upper)
        return sums.add_(self.middle(torch.cat([upper, lower], dim=-1)))


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
        self.blocks_16 = IntegerBlocks(source.blocks_16)
        self.up = WidePointwise(source.up.weight, source.up.bias)
        self.blocks_8 = IntegerBlocks(source.blocks_8)
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
        """int32 [B, h, w, M] in sixteenths of a step -> pixels, uint8 [B, 16h, 16w, 3]."""
        with exact_arithmetic():
            steps = latents.float()
            patches = self.linear((steps * self.levels[row]).round_())
            deviations = steps.mul_(self.deviations[row]).round_().clamp_(-DEVIATION_LIMIT, DEVIATION_LIMIT)
            features = self.blocks_16(self.enter(deviations).mul_(self.gain_16[row]))
            features = self.up(limited(features)).mul_(self.gain_8[row].repeat(4))
            features = self.blocks_8(depth_to_space(features, 2))
            _add_correction(patches, self.leave(limited(features)).mul_(self.reach[row]))
            return depth_to_space(samples(patches), PATCH)


def _add_correction(patches: Tensor, correction: Tensor) -> None:
    """`patches` of 16x16 pixels [B, h, w, 768] plus `correction` of 8x8 pixels [B, 2h, 2w, 192], in place."""
    images, h, w, _ = patches.shape
    parts = correction.view(images * h, 2, w, 2, 8, 24)  # row and column of a patch's quarter, row within it
    patches.view(images * h, w, 2, 8, 2, 24).add_(parts.permute(0, 2, 1, 4, 3, 5))
