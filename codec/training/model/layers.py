"""Layers on channels-last tensors [B, H, W, C]: 1x1 and depthwise 3x3 convolutions, and the block made of them.

The leaves (`Pointwise`, `ClassPointwise`, `Depthwise`, `Rectifier`, `Gate`, `Add`) are separate modules, so that
calibration sees what each of them gives; blocks and the leaves around them have integer twins (narrow.py). Without
gradients, leaves that follow another layer change its result in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...model.constants import GATE_LIMIT

CACHED_POSITIONS = 3072
"""On a CPU and outside training, a block's 1x1 layers take this many positions at a time, so that what the widest of
them gives is still in the cache for the next and its memory is used again: for a window of 1024 x 1024 pixels the
synthesis then takes 4/5 of the time."""

ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def start_normal(weight: nn.Parameter, std: float) -> None:
    """Normally distributed initial weights; nothing on the meta device, where drawing them takes torch a second."""
    if not weight.is_meta:
        nn.init.normal_(weight, std=std)


def allocate(module: nn.Module) -> None:
    """Gives a module that was made on the meta device memory on the CPU, as `Module.to_empty` does; but that has torch
    import a computer algebra system, for a third of a second."""
    apply: Any = module._apply
    apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x: [..., inputs]; weight: [outputs, inputs]; bias: [outputs] -> [..., outputs]. Without gradients.

    On a CPU a convolution, which adds the bias as it goes, where a matrix product first fills its output with it; and
    oneDNN's by name: left to itself, torch takes MKL's matrix product for a single thread, which on an AMD processor
    with AVX-512 had 50 to 100 GFLOP/s where oneDNN had 200 to 230. Elsewhere one product for all images: without cuDNN,
    convolutions by CUDA take them one by one.
    """
    if x.device.type != "cpu":
        return F.linear(x, weight, bias)
    if x.dtype != torch.float32 or not ONEDNN or torch.is_autocast_enabled("cpu"):
        out = F.conv2d(x.permute(0, 3, 1, 2), weight[:, :, None, None], bias)
        return out.permute(0, 2, 3, 1).contiguous()
    flat = x.reshape(1, 1, -1, x.shape[-1]).permute(0, 3, 1, 2)
    out = torch.mkldnn_convolution(flat, weight[:, :, None, None], bias, (0, 0), (1, 1), (1, 1), 1)
    return out.permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)


class Pointwise(nn.Module):
    """1x1 convolution: float [B, H, W, inputs] -> [B, H, W, outputs]."""

    def __init__(self, inputs: int, outputs: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        # Variance-preserving; `gain` 0 lets a branch start as nothing at all.
        start_normal(self.weight, std=gain * inputs**-0.5)

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
        start_normal(self.weight, std=gain * inputs**-0.5)

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
        start_normal(self.weight, std=1 / 3)

    def forward(self, x: Tensor) -> Tensor:
        # A channels-last tensor seen as [B, C, H, W] keeps its memory layout: no copy.
        out = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, padding=1, groups=self.weight.shape[0])
        return out.permute(0, 2, 3, 1)


class Rectifier(nn.Module):
    """max(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x, inplace=not torch.is_grad_enabled())


class Gate(nn.Module):
    """[..., 2C] -> [..., C]: the first half times relu6 of the second."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        value, gate = x.chunk(2, dim=-1)
        if torch.is_grad_enabled():
            return value * F.relu6(gate)
        return value * gate.clamp_(0, GATE_LIMIT)


class Add(nn.Module):
    """Sum of two tensors that share their scales."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        # In place, unless y is of a smaller type than the sum, as under autocast.
        return x + y if torch.is_grad_enabled() or y.dtype != x.dtype else y.add_(x)


def in_parts(x: Tensor) -> Sequence[Tensor]:
    """Views of a contiguous tensor [B, H, W, C]: on a CPU [1, 1, n, C] with up to CACHED_POSITIONS positions each."""
    return torch.split(x.view(1, 1, -1, x.shape[-1]), CACHED_POSITIONS, dim=2) if x.device.type == "cpu" else [x]


def joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    """One after the other; of a single one there is no copy."""
    return torch.cat(list(parts), dim) if len(parts) > 1 else parts[0]


def straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """`rounded` going forward, the gradient of `value` going back."""
    return value + (rounded - value).detach()


class Narrow(nn.Module):
    """While training, what 8 bits make of a tensor [B, H, W, C]: whole multiples of a part of the largest magnitude
    that a channel has in the batch. The integer twins of the layers that follow take 8 bits, with steps of that size.
    """

    def __init__(self, steps: int = 127) -> None:
        """steps: from 0 to the largest magnitude; 255 where nothing is negative."""
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        step = x.detach().abs().amax((0, 1, 2)).clamp_(min=1e-6) / self.steps
        return straight_through(x, (x / step).round_().mul_(step))


class DepthwiseBlock(nn.Module):
    """Two residual branches on [B, H, W, C]; (8 C^2 + 9 C) multiply-adds a position; starts as the identity.

    x += project(spatial(max(mix(x), 0))); then x += contract(gate(expand(x))).
    """

    def __init__(self, channels: int, *, narrow: bool = False) -> None:
        """narrow: whether its 1x1 layers learn to live with inputs of 8 bits."""
        super().__init__()
        self.narrow = Narrow() if narrow else nn.Identity()
        self.narrow_rectified = Narrow(255) if narrow else nn.Identity()
        self.mix = Pointwise(channels, channels)
        self.rectifier = Rectifier()
        self.spatial = Depthwise(channels)
        self.project = Pointwise(channels, channels, gain=0.0)
        self.add_spatial = Add()
        self.expand = Pointwise(channels, 4 * channels)
        self.gate = Gate(2 * channels)
        self.contract = Pointwise(2 * channels, channels, gain=0.0)
        self.add_channel = Add()

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.narrow_rectified(self.rectifier(self.mix(self.narrow(x))))
        x = self.add_spatial(x, self.project(self.narrow(self.spatial(mixed))))
        if self.expand.weight.requires_grad:
            return self._mix_channels(x)
        parts = [self._mix_channels(part) for part in in_parts(x)]
        return joined(parts, dim=-2).reshape(x.shape)

    def _mix_channels(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.add_channel(x, self.contract(self.narrow(self.gate(self.expand(self.narrow(x))))))
        return mixed


def space_to_depth(x: Tensor, factor: int) -> Tensor:
    """[B, H, W, C] -> [B, H/f, W/f, f*f*C], the channels in the order (row, column, channel)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.transpose(2, 3).reshape(b, h // factor, w // factor, factor * factor * c)


def depth_to_space(x: Tensor, factor: int) -> Tensor:
    """Inverse of `space_to_depth`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // (factor * factor))
    return x.transpose(2, 3).reshape(b, h * factor, w * factor, c // (factor * factor))
