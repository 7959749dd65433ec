"""Layers on channels-last tensors [B, H, W, C]: 1x1 and depthwise 3x3 convolutions, and the block made of them.

The leaves (`Pointwise`, `ClassPointwise`, `Depthwise`, `Rectifier`, `Gate`, `Add`) are separate modules, so that
calibration sees what each of them gives. Without gradients, leaves that follow another layer change its result in
place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...backends.torch_parts import in_parts, pointwise
from ...model.config import ACTIVATION_LIMIT, OPERAND_LIMIT, OPERAND_STEP, OPERAND_ZERO
from ...model.constants import GATE_LIMIT

RANGES = ("log_limit", "log_high", "log_below")
"""How the names of ranges of activations end."""

LEAK = 0.1
"""Share of a gradient that passes a rectifier or a gate where it is shut. Without it a unit that is shut for all of the
training set learns no more: of 768 gates at 1/16 in the synthesis none opened any more after 135,000 steps."""


class Pointwise(nn.Module):
    """1x1 convolution: float [B, H, W, inputs] -> [B, H, W, outputs]."""

    def __init__(self, inputs: int, outputs: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        # Variance-preserving; `gain` 0 lets a branch start as nothing at all.
        nn.init.normal_(self.weight, std=gain * inputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and self.weight.requires_grad:
            # A matrix product is up to a fifth faster here, with its gradients.
            product: Tensor = F.linear(x, self.weight, self.bias)
            return product
        return pointwise(x, self.weight, self.bias)


class ClassPointwise(nn.Module):
    """A 1x1 convolution of its own for each of the four position classes: [4, ..., inputs] -> [4, ..., outputs].

    Always in float32: its outputs are means and log-scales, where bfloat16 would cost rate.
    """

    def __init__(self, inputs: int, outputs: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4, inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(4, 1, outputs))
        nn.init.normal_(self.weight, std=gain * inputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            out = torch.baddbmm(self.bias, x.float().flatten(1, -2), self.weight)
        return out.reshape(*x.shape[:-1], -1)


class Depthwise(nn.Module):
    """Depthwise 3x3 convolution with zeros beyond the border: [B, H, W, C] -> [B, H, W, C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.normal_(self.weight, std=1 / 3)

    def forward(self, x: Tensor) -> Tensor:
        # A channels-last tensor seen as [B, C, H, W] keeps its memory layout: no copy.
        out = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, padding=1, groups=self.weight.shape[0])
        return out.permute(0, 2, 3, 1)


class _Clamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.high = high
        return x.clamp(0, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        (gradient,) = gradients
        inside = torch.ops.aten.hardtanh_backward(gradient, x, 0.0, ctx.high)
        return inside.mul_(1 - LEAK).add_(gradient, alpha=LEAK), None


def clamp(x: Tensor, high: float = math.inf) -> Tensor:
    """x limited to 0..high, in place where no gradients are wanted; of gradients, `LEAK` passes outside."""
    if not torch.is_grad_enabled():
        return x.clamp_(0, high)
    apply: Any = _Clamp.apply  # typed in some versions of torch, not in others
    out: Tensor = apply(x, high)
    return out


class Rectifier(nn.Module):
    """max(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        return clamp(x)


class Gate(nn.Module):
    """[..., 2C] -> [..., C]: the first half times relu6 of the second."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        value, gate = x.chunk(2, dim=-1)
        return value * clamp(gate, GATE_LIMIT)


class Add(nn.Module):
    """Sum of two tensors that share their scales."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        # In place, unless y is of a smaller type than the sum, as under autocast.
        return x + y if torch.is_grad_enabled() or y.dtype != x.dtype else y.add_(x)


def joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    """One after the other; of a single one there is no copy."""
    return torch.cat(list(parts), dim) if len(parts) > 1 else parts[0]


def straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """`rounded` going forward, the gradient of `value` going back."""
    return value + (rounded - value).detach()


class _Quantise(torch.autograd.Function):
    """Rounding within a range; gradients of Esser and others, Learned Step Size Quantization, 2020."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, zero: Tensor | None, step: Tensor, low: float, high: float) -> Tensor:
        if zero is not None:
            zero = zero.to(x.dtype)
        step = step.to(x.dtype)
        units = (x if zero is None else x - zero) / step
        rounded = units.round().clamp_(low, high)
        ctx.save_for_backward(units, rounded)
        ctx.limits = low, high
        ctx.has_zero = zero is not None
        return rounded * step if zero is None else torch.addcmul(zero, rounded, step)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        units, rounded = ctx.saved_tensors
        inside = torch.ops.aten.hardtanh_backward(gradient, units, *ctx.limits)
        axes = tuple(range(units.ndim - 1))
        # Within the limits what rounding adds grows with the step, beyond them all that is left.
        of_step = (gradient * rounded).sub_(inside * units).sum(axes, dtype=torch.float32)
        of_zero = (gradient - inside).sum(axes, dtype=torch.float32) if ctx.has_zero else None
        return inside, of_zero, of_step, None, None


def quantise(x: Tensor, step: Tensor, low: float, high: float, zero: Tensor | None = None) -> Tensor:
    """x [..., C] rounded to zero + k * step, k whole and from low to high; zero, step: float32 [C]. Gradients reach
    them, and within the limits x."""
    apply: Any = _Quantise.apply  # typed in some versions of torch, not in others
    out: Tensor = apply(x, zero, step, low, high)
    return out


class Range(nn.Module):
    """Limits [C] of what a layer gives, learned in training and kept by the integers: values are limited to them and
    rounded to the 256 steps that an operand of 8 bits has between them.

    What lies beyond has no gradient, so no unit can run away from the others; the limits move by the gradient of what
    they cut off and of what their steps round away. As long as they are not set (`calibration.set_limits`), they limit
    nothing.
    """

    def __init__(self, channels: int, *, signed: bool = False, own: bool = False) -> None:
        """signed: from -high to high instead of from 0 on; own: with a limit of its own below."""
        super().__init__()
        self.signed, self.is_set = signed, False
        self.log_high = nn.Parameter(torch.zeros(channels))
        self.log_below = nn.Parameter(torch.zeros(channels)) if own else None

    def limits(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest, float32 [C] each."""
        high = self.log_high.exp()
        if self.log_below is not None:
            return -self.log_below.exp(), high
        return (-high if self.signed else torch.zeros_like(high)), high

    def forward(self, x: Tensor) -> Tensor:
        if not self.is_set:
            return x
        low, high = self.limits()
        if self.signed:
            return quantise(x, high / OPERAND_ZERO, -OPERAND_ZERO, OPERAND_ZERO - 1)
        step = (high - low) / OPERAND_LIMIT
        return quantise(x, step, 0, OPERAND_LIMIT, None if self.log_below is None else low)


class DepthwiseBlock(nn.Module):
    """Two residual branches on [B, H, W, C]; (8 C^2 + 9 C) multiply-adds a position; starts as the identity.

    x += project(spatial(max(mix(x), 0))); then x += contract(gate(expand(x))). Its 1x1 layers take 8 bits.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = Pointwise(channels, channels)
        self.rectifier = Rectifier()
        self.rectified = Range(channels)
        self.spatial = Depthwise(channels)
        self.filtered = Range(channels, own=True)
        self.project = Pointwise(channels, channels, gain=0.0)
        self.add_spatial = Add()
        self.expand = Pointwise(channels, 4 * channels)
        with torch.no_grad():
            self.expand.bias[2 * channels :] = 1.0  # gates begin open, where they have a gradient
        self.gate = Gate(2 * channels)
        self.gated = Range(2 * channels, signed=True)
        self.contract = Pointwise(2 * channels, channels, gain=0.0)
        self.add_channel = Add()

    def forward(self, x: Tensor, narrow: Callable[[Tensor], Tensor]) -> Tensor:
        """narrow: activations to operands of 8 bits."""
        mixed = self.rectified(self.rectifier(self.mix(narrow(x))))
        x = self.add_spatial(x, self.project(self.filtered(self.spatial(mixed))))
        if self.expand.weight.requires_grad:
            return self._mix_channels(x, narrow)
        parts = [self._mix_channels(part, narrow) for part in in_parts(x)]
        return joined(parts, dim=-2).reshape(x.shape)

    def _mix_channels(self, x: Tensor, narrow: Callable[[Tensor], Tensor]) -> Tensor:
        mixed: Tensor = self.add_channel(x, self.contract(self.gated(self.gate(self.expand(narrow(x))))))
        return mixed


class Blocks(nn.Sequential):
    """Depthwise blocks in a row, whose activations [B, H, W, C] share one learned range: +-`limit`.

    Blocks add to activations of any size; what every layer takes of them is limited, in 8 bits (`narrow`) or, where it
    counts more, in 11 (`limited`).
    """

    def __init__(self, count: int, channels: int) -> None:
        super().__init__(*(DepthwiseBlock(channels) for _ in range(count)))
        self.log_limit = nn.Parameter(torch.zeros(channels))
        self.is_set = False

    @property
    def each(self) -> list[DepthwiseBlock]:
        """The blocks, with their type."""
        return [cast(DepthwiseBlock, block) for block in self]

    def forward(self, x: Tensor) -> Tensor:
        for block in self.each:
            x = block(x, self.narrow)
        return x

    def narrow(self, x: Tensor) -> Tensor:
        """Activations as layers of 8 bits take them."""
        return self._rounded(x, OPERAND_STEP, -OPERAND_ZERO, OPERAND_ZERO - 1)

    def limited(self, x: Tensor) -> Tensor:
        """Activations as wide layers take them."""
        return self._rounded(x, 1, -ACTIVATION_LIMIT, ACTIVATION_LIMIT)

    def _rounded(self, x: Tensor, steps: int, low: float, high: float) -> Tensor:
        return quantise(x, self.log_limit.exp() * (steps / ACTIVATION_LIMIT), low, high) if self.is_set else x


def space_to_depth(x: Tensor, factor: int) -> Tensor:
    """[B, H, W, C] -> [B, H/f, W/f, f^2 C], the channels in the order (row, column, channel)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.transpose(2, 3).reshape(b, h // factor, w // factor, factor * factor * c)


def depth_to_space(x: Tensor, factor: int) -> Tensor:
    """Inverse of `space_to_depth`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // (factor * factor))
    return x.transpose(2, 3).reshape(b, h * factor, w * factor, c // (factor * factor))
