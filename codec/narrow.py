"""Integer layers on operands of eight bits, and the integer twin of a block made of them.

An operand is a whole number from 0 to 255, a weight one from -127 to 127, so that processors with instructions for such
dot products (VNNI) do four times as many of them as float32 ones in the same time. Where these instructions or oneDNN's
kernels for them are missing, operands are held in float32, as all of exact.py's activations are. Either way each sum is
a whole number below 2^24 and the same; which way is taken is seen from the operands' dtype.
"""

from __future__ import annotations

import platform
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import ACTIVATION_LIMIT, OPERAND_LIMIT, OPERAND_STEP, OPERAND_ZERO
from .exact import Integer, limited
from .layers import GATE_LIMIT, DepthwiseBlock, in_parts, pointwise


def operands(x: Tensor) -> Tensor:
    """Whole numbers of float32 values in 0..256, exclusive: uint8 where `kernels_are_exact`, else float32."""
    if x.device.type == "cpu" and kernels_are_exact():
        return x.to(torch.int16).to(torch.uint8)  # twice as fast as in one go
    return x.floor_()


def narrowed(x: Tensor) -> Tensor:
    """The operands of activations: eight of their steps become one."""
    return operands(torch.add(x.new_tensor(OPERAND_ZERO), x, alpha=1 / OPERAND_STEP))


class _Narrow(Integer):
    """What the narrow layers share: their inputs' limit, and the weights as oneDNN's kernels take them."""

    input_limit = OPERAND_LIMIT
    weight_limit = 127

    def settle(self) -> None:
        super().settle()
        if kernels_are_exact():
            self._make_ready()

    def _make_ready(self) -> None:
        """For operands in uint8."""
        self._zeros = torch.zeros(len(self.bias), dtype=torch.int32)
        self._packed = self._pack()

    def _pack(self) -> Any:
        raise NotImplementedError


class NarrowPointwise(_Narrow):
    """1x1 convolution: operands [..., inputs] -> float32 [..., outputs]."""

    input_axes = (1,)

    def __init__(self, weight: Tensor, bias: Tensor, *, added: bool = False) -> None:
        """added: whether its sums are to be added to activations."""
        super().__init__(weight, bias)
        self.room = ACTIVATION_LIMIT if added else 0

    def _pack(self) -> Any:
        return torch.ops.onednn.qlinear_prepack(self.weight.to(torch.int8), None)

    def forward(self, x: Tensor) -> Tensor:
        """Activations to activations."""
        return limited(self.sums(narrowed(x)))

    def sums(self, u: Tensor, out: torch.dtype = torch.float32) -> Tensor:
        """As they are; or as operands, uint8, rounded and limited."""
        if u.dtype != torch.uint8:
            return pointwise(u, self.scaled_weight, self.scaled_bias)
        flat = u.reshape(-1, u.shape[-1])
        kernel: Any = torch.ops.onednn.qlinear_pointwise.default
        scales = (self.multiplier, self._zeros, self.scaled_bias)
        result: Tensor = kernel(flat, 1.0, 0, self._packed, *scales, 1.0, 0, out, "none", [], "")
        return result.reshape(*u.shape[:-1], -1)

    def operands(self, u: Tensor) -> Tensor:
        """As operands of another layer."""
        if u.dtype != torch.uint8:
            return self.sums(u).round_().clamp_(0, OPERAND_LIMIT)
        return self.sums(u, torch.uint8)

    def add(self, u: Tensor, x: Tensor) -> Tensor:
        """Activations x [..., outputs] plus the sums."""
        if u.dtype != torch.uint8:
            return limited(self.sums(u).add_(x))
        flat, other = u.reshape(-1, u.shape[-1]), x.reshape(-1, x.shape[-1])
        kernel: Any = torch.ops.onednn.qlinear_pointwise.binary
        scales = (self.multiplier, self._zeros, other, self.scaled_bias)
        result: Tensor = kernel(
            flat, 1.0, 0, self._packed, *scales, 1.0, 0, torch.float32, 1.0, 0, "add", 1.0, "none", [], ""
        )
        return limited(result.reshape(x.shape))


class NarrowClassPointwise(nn.Module):
    """A 1x1 convolution for each position class: activations [4, ..., inputs] to parameters [4, ..., outputs], rounded
    but not limited."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """weight: [4, inputs, outputs]; bias: [4, 1, outputs]."""
        super().__init__()
        layers = (NarrowPointwise(w.T, b[0]) for w, b in zip(weight, bias, strict=True))
        self.classes = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        parts = zip(self.classes, narrowed(x), strict=True)
        return torch.stack([cast(NarrowPointwise, layer).sums(part) for layer, part in parts]).round_()


class NarrowDepthwise(_Narrow):
    """Depthwise 3x3 convolution: operands [B, H, W, C] -> operands [B, H, W, C]; 0 beyond the border."""

    input_axes = (1, 2, 3)

    def _pack(self) -> Any:
        channels = len(self.bias)
        weight, ones = self.weight.to(torch.int8), [1, 1]
        return torch.ops.onednn.qconv_prepack(weight, self.multiplier, 1.0, 0, ones, ones, ones, channels, None)

    def operands(self, u: Tensor) -> Tensor:
        channels = len(self.bias)
        image = u.permute(0, 3, 1, 2)
        if u.dtype != torch.uint8:
            sums = F.conv2d(image, self.scaled_weight, self.scaled_bias, padding=1, groups=channels)
            return sums.permute(0, 2, 3, 1).round_().clamp_(0, OPERAND_LIMIT)
        ones = [1, 1]
        scales = (self.multiplier, self._zeros, self.scaled_bias)
        kernel: Any = torch.ops.onednn.qconv2d_pointwise.default
        out: Tensor = kernel(
            image, 1.0, 0, self._packed, *scales, ones, ones, ones, channels, 1.0, 0, torch.uint8, "none", [], ""
        )
        return out.permute(0, 2, 3, 1)


class IntegerBlock(nn.Module):
    """Integer twin of `DepthwiseBlock`: activations float32 [B, H, W, C] to the same.

    The rectifier after `mix` needs no pass of its own: operands begin at 0.
    """

    def __init__(self, block: DepthwiseBlock) -> None:
        super().__init__()
        self.mix = NarrowPointwise(block.mix.weight, block.mix.bias)
        self.spatial = NarrowDepthwise(block.spatial.weight, block.spatial.bias)
        self.project = NarrowPointwise(block.project.weight, block.project.bias, added=True)
        half = len(block.expand.bias) // 2
        # Apart, so that what follows finds each of them contiguous.
        self.value = NarrowPointwise(block.expand.weight[:half], block.expand.bias[:half])
        self.gate = NarrowPointwise(block.expand.weight[half:], block.expand.bias[half:])
        self.contract = NarrowPointwise(block.contract.weight, block.contract.bias, added=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.project.add(self.spatial.operands(self.mix.operands(narrowed(x))), x)
        return in_parts(self._mix_channels, x)

    def _mix_channels(self, x: Tensor) -> Tensor:
        u = narrowed(x)
        # The one product whose factors are not small: rounded once, as IEEE 754 has it on every device.
        product = self.value.sums(u).mul_(self.gate.sums(u).clamp_(0, GATE_LIMIT))
        gated = operands(product.add_(OPERAND_ZERO + 0.5).clamp_(0, OPERAND_LIMIT))
        return self.contract.add(gated, x)


@cache
def kernels_are_exact() -> bool:
    """Whether oneDNN's kernels for this processor give, at the very bounds, the sums they must.

    They do with VNNI, in AVX2's or AVX-512's form. Without, they add pairs of products in 16 bits, which overflow.
    Elsewhere than on x86 they may be right and slow.
    """
    try:
        return platform.machine().lower() in ("x86_64", "amd64") and _kernels_agree()
    except (AttributeError, RuntimeError, TypeError):  # another version of torch, or built without them
        return False


def _kernels_agree() -> bool:
    """Whether the kernels' sums are those of float64, where all of them are exact, for the largest operands and weights
    that add up and for others."""
    generator = torch.Generator().manual_seed(1)
    for positions, inputs, outputs in ((5, 8, 16), (64, 192, 384)):
        layer = NarrowPointwise(torch.empty(outputs, inputs), torch.empty(outputs), added=True)
        depthwise = NarrowDepthwise(torch.empty(inputs, 1, 3, 3), torch.empty(inputs))
        u = torch.randint(0, 2, (1, positions, 4, inputs), generator=generator).mul_(255).to(torch.uint8)
        x = torch.randint(-1023, 1024, (1, positions, 4, outputs), generator=generator).float()
        u[0, 0], x[0, 0] = 255, 1023
        for tested in (layer, depthwise):
            tested.weight.copy_(torch.randint(0, 2, tested.weight.shape, generator=generator) * 254 - 127)
            tested.weight[0] = 127
            tested.bias.copy_(torch.randint(-5000, 5000, tested.bias.shape, generator=generator))
            tested.multiplier.copy_(2.0 ** torch.randint(-12, 2, tested.bias.shape, generator=generator))
            tested.multiplier[0] = 2.0**-8
            Integer.settle(tested)
            tested._make_ready()
        sums = (u.double() @ layer.weight.double().T + layer.bias.double()) * layer.multiplier
        image, weight = u.permute(0, 3, 1, 2).double(), depthwise.weight.double()
        spatial = F.conv2d(image, weight, depthwise.bias.double(), padding=1, groups=inputs).permute(0, 2, 3, 1)
        spatial *= depthwise.multiplier
        agree = (
            torch.equal(layer.sums(u).double(), sums)
            and torch.equal(layer.operands(u).double(), sums.round().clamp(0, 255))
            and torch.equal(layer.add(u, x).double(), (sums + x).round().clamp(-1023, 1023))
            and torch.equal(depthwise.operands(u).double(), spatial.round().clamp(0, 255))
        )
        if not agree:
            return False
    return True
