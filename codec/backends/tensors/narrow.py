"""Integer layers on operands of eight bits: whole numbers from 0 to 255, held in float32, as activations are.

Their weights are whole numbers from -127 to 127, so that each sum is a whole number below 2^24 and the same on every
device. What multiplies bytes as such, on CPUs, are the compiled kernels (backends/kernels/).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...model.config import OPERAND_LIMIT, OPERAND_STEP, OPERAND_ZERO
from ...model.constants import GATE_LIMIT
from ...training.model.layers import pointwise
from .exact import Integer


def operands(x: Tensor, step: int = 1) -> Tensor:
    """x / step, rounded and limited, where 128 stands for 0. step: a power of two."""
    return (x / step).round_().clamp_(-OPERAND_ZERO, OPERAND_LIMIT - OPERAND_ZERO).add_(OPERAND_ZERO)


def samples(x: Tensor) -> Tensor:
    """x rounded and limited to 0..255, as uint8."""
    # By way of int16: on CPUs, straight to uint8 takes several times as long.
    return x.round().clamp_(0, OPERAND_LIMIT).to(torch.int16).to(torch.uint8)


def narrowed(x: Tensor) -> Tensor:
    """The operands of activations: eight of their steps become one."""
    return operands(x, OPERAND_STEP)


def halves(x: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Whole numbers from -128 * step to 128 * step - 1 as two operands, without loss: how many steps, where 128 stands
    for 0, and what is left. step: a power of two up to 256."""
    upper = (x / step).floor_()
    return upper + OPERAND_ZERO, torch.sub(x, upper, alpha=step)


class NarrowPointwise(Integer):
    """1x1 convolution of operands [..., inputs] to float32 [..., outputs]."""

    input_axes = (1,)

    def forward(self, u: Tensor) -> Tensor:
        """The sums, exact."""
        return pointwise(u, self.scaled_weight, self.scaled_bias)

    def operands(self, u: Tensor) -> Tensor:
        """The sums as operands of another layer."""
        return self.forward(u).round_().clamp_(0, OPERAND_LIMIT)

    def limited_sums(self, u: Tensor) -> Tensor:
        """From 0 to 6, as gates are."""
        return self.forward(u).clamp_(0, GATE_LIMIT)


class WidePointwise(Integer):
    """1x1 convolution of whole numbers of 11 or 16 bits, float32 [..., inputs], to float32 [..., outputs].

    Their halves are multiplied by the same weights. Each of the two sums is exact, what they add up to is rounded to
    float32: with weights small enough to have that exact, too, the synthesis lost 0.02 dB."""

    input_axes = (1,)
    upper_weight: Tensor
    upper_bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, step: int = OPERAND_STEP) -> None:
        """step: that of `halves`."""
        super().__init__(weight, bias)
        self.step = step
        self.largest_input = OPERAND_ZERO * step
        # What the other layers have once, for the upper halves.
        for name in ("upper_weight", "upper_bias"):
            self.register_buffer(name, None, persistent=False)

    def settle(self) -> None:
        super().settle()
        self.upper_weight = self.scaled_weight * self.step
        self.upper_bias = -OPERAND_ZERO * self.upper_weight.sum(1)

    def forward(self, x: Tensor) -> Tensor:
        upper, lower = halves(x, self.step)
        sums = pointwise(upper, self.upper_weight, self.upper_bias)
        return sums.add_(pointwise(lower, self.scaled_weight, self.scaled_bias))


class NarrowClassPointwise(nn.Module):
    """A 1x1 convolution for each position class: operands [4, ..., inputs] to float32 [4, ..., outputs]."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """weight: [4, inputs, outputs]; bias: [4, 1, outputs]."""
        super().__init__()
        layers = (NarrowPointwise(w.T, b[0]) for w, b in zip(weight, bias, strict=True))
        self.classes = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        parts = zip(self.classes, x, strict=True)
        return torch.stack([layer(part) for layer, part in parts])


class NarrowDepthwise(Integer):
    """Depthwise 3x3 convolution: operands [B, H, W, C] -> operands [B, H, W, C]; 0 beyond the border."""

    input_axes = (1, 2, 3)

    def operands(self, u: Tensor) -> Tensor:
        image = u.permute(0, 3, 1, 2)
        sums = F.conv2d(image, self.scaled_weight, self.scaled_bias, padding=1, groups=len(self.bias))
        return sums.permute(0, 2, 3, 1).round_().clamp_(0, OPERAND_LIMIT)
