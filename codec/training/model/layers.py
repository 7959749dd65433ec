"""Layers on channels-last tensors [B, H, W, C]: 1x1 and depthwise 3x3 convolutions, and the residual block made of
them.

`Pointwise`, `ClassPointwise`, `Depthwise`, `Rectifier`, `Gate` and `Add` are modules of their own so that calibration
can observe the outputs of each. Without gradients, those that follow another layer change its outputs in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...backends.layers import depth_to_space as depth_to_space
from ...backends.layers import space_to_depth as space_to_depth
from ...backends.torch_parts import in_parts, pointwise
from ...model.config import ACTIVATION_LIMIT, OPERAND_LIMIT, OPERAND_STEP, OPERAND_ZERO
from ...model.constants import GATE_LIMIT

RANGES = ("log_limit", "log_high", "log_below")
"""Last parts of the names of parameters that are ranges of activations (`Range`, `Blocks`)."""

LEAK = 0.1
"""Share of the gradient that passes a rectifier or a gate where it is shut. Without it a unit that is shut for the
whole training set stops learning: of the 768 gates at 1/16 of the resolution in the synthesis none opened after 135,000
steps."""


class Pointwise(nn.Module):
    """1x1 convolution: float [B, H, W, inputs] -> [B, H, W, outputs]."""

    def __init__(self, inputs: int, outputs: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        # Preserves the variance; with a gain of 0 a residual branch starts as zero.
        nn.init.normal_(self.weight, std=gain * inputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and self.weight.requires_grad:
            # With its gradients, a matrix product is up to a fifth faster than the convolution of `pointwise`.
            product: Tensor = F.linear(x, self.weight, self.bias)
            return product
        return pointwise(x, self.weight, self.bias)


class ClassPointwise(nn.Module):
    """Four 1x1 convolutions, one for each position class: [4, ..., inputs] -> float32 [4, ..., outputs].

    They run in float32 even under autocast: outputs are means and log-scales, where bfloat16 would cost rate.
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
    """Clamping to 0..high, whose gradient is `LEAK` times the incoming one outside."""

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
    """x clamped to 0..high; in place if gradients are off. Outside of the limits `LEAK` of the gradient passes."""
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
    """A gated linear unit, [..., 2C] -> [..., C]: the first half of the channels times relu6 of the second."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        value, gate = x.chunk(2, dim=-1)
        return value * clamp(gate, GATE_LIMIT)


class Add(nn.Module):
    """The sum of two tensors of one shape, or shapes that broadcast."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        # In place, unless the sum has a wider dtype than y, as under autocast.
        return x + y if torch.is_grad_enabled() or y.dtype != x.dtype else y.add_(x)


def joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    """The concatenation of tensors along an axis; a single tensor is returned as it is, not copied."""
    return torch.cat(list(parts), dim) if len(parts) > 1 else parts[0]


def straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """A straight-through estimator: the value of `rounded`, with the gradient of `value`."""
    return value + (rounded - value).detach()


class _Quantise(torch.autograd.Function):
    """Rounding to a learned grid, with the gradients of Esser et al., Learned Step Size Quantization, ICLR 2020."""

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
        # The output is rounded * step: its derivative by the step is rounded - units inside, the limit outside.
        of_step = (gradient * rounded).sub_(inside * units).sum(axes, dtype=torch.float32)
        of_zero = (gradient - inside).sum(axes, dtype=torch.float32) if ctx.has_zero else None
        return inside, of_zero, of_step, None, None


def quantise(x: Tensor, step: Tensor, low: float, high: float, zero: Tensor | None = None) -> Tensor:
    """x, [..., C], rounded to the nearest zero + k * step with an integer k in low..high. step, zero: float32 [C]; zero
    is 0 if None. Gradients pass to step and zero, and to x where it is within the limits."""
    apply: Any = _Quantise.apply  # typed in some versions of torch, not in others
    out: Tensor = apply(x, zero, step, low, high)
    return out


class Range(nn.Module):
    """Learned limits, [C], of a layer's outputs: fake quantisation, which clamps values to them and rounds to the 256
    levels that an operand of 8 bits has between them, as the integers will.

    Values beyond the limits get no gradient, so no unit can run away from the others. The limits learn from the errors
    of clamping and rounding. Until they are set (`calibration.set_limits`), values pass unchanged.
    """

    def __init__(self, channels: int, *, signed: bool = False, own: bool = False) -> None:
        """signed: the range is -high..high, otherwise 0..high. own: the lower limit is learned, too, below 0."""
        super().__init__()
        self.signed, self.is_set = signed, False
        self.log_high = nn.Parameter(torch.zeros(channels))
        self.log_below = nn.Parameter(torch.zeros(channels)) if own else None

    def limits(self) -> tuple[Tensor, Tensor]:
        """The lower and the upper limit, float32 [C] each."""
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
    """A block of two residual branches on activations [B, H, W, C]: x += project(spatial(max(mix(x), 0))), then
    x += contract(gate(expand(x))). `spatial` is a depthwise 3x3 convolution, the others are 1x1 on inputs of 8 bits.

    A position takes 8 C^2 + 9 C multiply-adds. The block starts as the identity.
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
            self.expand.bias[2 * channels :] = 1.0  # gates start open, where the whole gradient passes
        self.gate = Gate(2 * channels)
        self.gated = Range(2 * channels, signed=True)
        self.contract = Pointwise(2 * channels, channels, gain=0.0)
        self.add_channel = Add()

    def forward(self, x: Tensor, narrow: Callable[[Tensor], Tensor]) -> Tensor:
        """Applies both branches to x, [B, H, W, C]. narrow: rounds activations to 8 bits, as 1x1 layers take them."""
        mixed = self.rectified(self.rectifier(self.mix(narrow(x))))
        x = self.add_spatial(x, self.project(self.filtered(self.spatial(mixed))))
        if self.expand.weight.requires_grad:
            return self._mix_channels(x, narrow)
        parts = [self._mix_channels(part, narrow) for part in in_parts(x)]
        return joined(parts, dim=-2).reshape(x.shape)

    def _mix_channels(self, x: Tensor, narrow: Callable[[Tensor], Tensor]) -> Tensor:
        """The second branch: x + contract(gate(expand(x)))."""
        mixed: Tensor = self.add_channel(x, self.contract(self.gated(self.gate(self.expand(narrow(x))))))
        return mixed


class Blocks(nn.Sequential):
    """Residual blocks one after another, whose activations [B, H, W, C] share a learned range for each channel,
    +-exp(log_limit).

    The activations that blocks add to are not limited themselves. Layers take them clamped to the range and rounded to
    8 bits (`narrow`) or, where precision counts more, to 11 (`limited`).
    """

    def __init__(self, count: int, channels: int) -> None:
        super().__init__(*(DepthwiseBlock(channels) for _ in range(count)))
        self.log_limit = nn.Parameter(torch.zeros(channels))
        self.is_set = False

    @property
    def each(self) -> list[DepthwiseBlock]:
        """The blocks as a list with their type, which nn.Sequential does not tell."""
        return [cast(DepthwiseBlock, block) for block in self]

    def forward(self, x: Tensor) -> Tensor:
        for block in self.each:
            x = block(x, self.narrow)
        return x

    def narrow(self, x: Tensor) -> Tensor:
        """Activations clamped to their range and rounded to 8 bits, as narrow layers take them."""
        return self._rounded(x, OPERAND_STEP, -OPERAND_ZERO, OPERAND_ZERO - 1)

    def limited(self, x: Tensor) -> Tensor:
        """Activations clamped to their range and rounded to 11 bits, as wide layers take them."""
        return self._rounded(x, 1, -ACTIVATION_LIMIT, ACTIVATION_LIMIT)

    def _rounded(self, x: Tensor, steps: int, low: float, high: float) -> Tensor:
        """x rounded to integers low..high in units of steps / ACTIVATION_LIMIT of the range; unchanged until it is
        set."""
        return quantise(x, self.log_limit.exp() * (steps / ACTIVATION_LIMIT), low, high) if self.is_set else x
