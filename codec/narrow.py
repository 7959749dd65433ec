"""Integer layers on operands of eight bits, and the integer twin of a block made of them.

An operand is a whole number from 0 to 255, a weight one from -127 to 127, so that processors with instructions for such
dot products (VNNI) do four times as many of them as float32 ones in the same time. Where these instructions or oneDNN's
kernels for them are missing, operands are held in float32, as activations are. Either way each sum is a whole number
below 2^24 and the same; which way is taken is seen from the operands' dtype.
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
from .integers import GATE_LIMIT
from .layers import DepthwiseBlock, in_parts, pointwise


def operands(x: Tensor) -> Tensor:
    """What float32 values of both signs are rounded and limited to, where 128 stands for 0; in place."""
    x.round_().clamp_(-OPERAND_ZERO, OPERAND_LIMIT - OPERAND_ZERO)
    # By way of int8: straight to uint8 takes five times as long. The highest bit turned over adds 128.
    return x.to(torch.int8).view(torch.uint8).bitwise_xor_(OPERAND_ZERO) if in_bytes(x) else x.add_(OPERAND_ZERO)


def in_bytes(x: Tensor) -> bool:
    """Whether operands of this tensor's device are held in uint8."""
    return x.device.type == "cpu" and kernels_are_exact()


def narrowed(x: Tensor) -> Tensor:
    """The operands of activations: eight of their steps become one."""
    if not in_bytes(x):
        return (x / OPERAND_STEP).floor_().add_(OPERAND_ZERO)
    return _raised(x.to(torch.int16), OPERAND_STEP)


def halves(x: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Whole numbers from -128 * step to 128 * step - 1 as two operands, without loss: how many steps, where 128 stands
    for 0, and what is left. step: a power of two up to 256."""
    if not in_bytes(x):
        upper = (x / step).floor_()
        return upper + OPERAND_ZERO, torch.sub(x, upper, alpha=step)
    whole = x.to(torch.int16)
    lower = torch.bitwise_and(whole, step - 1).to(torch.uint8)
    return _raised(whole, step), lower


def _raised(whole: Tensor, step: int) -> Tensor:
    """int16 to uint8: divided by step, rounded down, plus 128; in place. Plus 128 is the highest bit turned over."""
    return whole.bitwise_right_shift_(step.bit_length() - 1).to(torch.uint8).bitwise_xor_(OPERAND_ZERO)


class Narrowing(nn.Module):
    """`narrowed`, where the trained network has `Narrow`."""

    def forward(self, x: Tensor) -> Tensor:
        return narrowed(x)


class _Narrow(Integer):
    """What the narrow layers share: the weights as oneDNN's kernels take them."""

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


class _Pointwise(_Narrow):
    """1x1 convolutions by weights of 8 bits."""

    input_axes = (1,)

    def _pack(self) -> Any:
        return torch.ops.onednn.qlinear_prepack(self.weight.to(torch.int8), None)

    def _product(self, u: Tensor, multiplier: Tensor, bias: Tensor, out: torch.dtype = torch.float32) -> Tensor:
        """multiplier * (weight @ u) + bias: uint8 [..., inputs] -> [..., outputs]; if uint8, rounded and limited."""
        flat = u.reshape(-1, u.shape[-1])
        kernel: Any = torch.ops.onednn.qlinear_pointwise.default
        result: Tensor = kernel(flat, 1.0, 0, self._packed, multiplier, self._zeros, bias, 1.0, 0, out, "none", [], "")
        return result.reshape(*u.shape[:-1], -1)

    def _product_and(self, u: Tensor, x: Tensor) -> Tensor:
        """The sums plus x, float32 [..., outputs]."""
        flat, other = u.reshape(-1, u.shape[-1]), x.reshape(-1, x.shape[-1])
        kernel: Any = torch.ops.onednn.qlinear_pointwise.binary
        scales = (self.multiplier, self._zeros, other, self.scaled_bias)
        result: Tensor = kernel(
            flat, 1.0, 0, self._packed, *scales, 1.0, 0, torch.float32, 1.0, 0, "add", 1.0, "none", [], ""
        )
        return result.reshape(x.shape)


class NarrowPointwise(_Pointwise):
    """Of operands [..., inputs] to float32 [..., outputs]."""

    def __init__(self, weight: Tensor, bias: Tensor, *, added: bool = False) -> None:
        """added: whether its sums are to be added to activations."""
        super().__init__(weight, bias)
        self.room = ACTIVATION_LIMIT if added else 0

    def forward(self, x: Tensor) -> Tensor:
        """Operands to activations."""
        return limited(self.sums(x))

    def sums(self, u: Tensor) -> Tensor:
        """Neither rounded nor limited."""
        if u.dtype != torch.uint8:
            return pointwise(u, self.scaled_weight, self.scaled_bias)
        return self._product(u, self.multiplier, self.scaled_bias)

    def operands(self, u: Tensor) -> Tensor:
        """As operands of another layer."""
        if u.dtype != torch.uint8:
            return self.sums(u).round_().clamp_(0, OPERAND_LIMIT)
        return self._product(u, self.multiplier, self.scaled_bias, torch.uint8)

    def add(self, u: Tensor, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Activations x [..., outputs] plus the sums; into `out`, if given."""
        return limited(self.sums_and(u, x), out)

    def sums_and(self, u: Tensor, x: Tensor) -> Tensor:
        """The sums plus x, float32 [..., outputs]: an addition rounded to float32."""
        return self.sums(u).add_(x) if u.dtype != torch.uint8 else self._product_and(u, x)


class WidePointwise(_Pointwise):
    """Of whole numbers of 11 or 16 bits, by default activations: float32 [..., inputs] to float32 [..., outputs].

    Their halves are multiplied by the same weights. Each of the two sums is exact, what they add up to is rounded to
    float32: with weights small enough to have that exact, too, the synthesis lost 0.02 dB."""

    upper_multiplier: Tensor
    upper_weight: Tensor
    upper_bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, step: int = OPERAND_STEP) -> None:
        """step: that of `halves`."""
        super().__init__(weight, bias)
        self.step = step
        # What the other layers have once, for the upper halves.
        for name in ("upper_multiplier", "upper_weight", "upper_bias"):
            self.register_buffer(name, None, persistent=False)

    def settle(self) -> None:
        super().settle()
        self.upper_multiplier = self.multiplier * self.step
        self.upper_weight = self.scaled_weight * self.step
        self.upper_bias = -OPERAND_ZERO * self.upper_weight.sum(1)

    def forward(self, x: Tensor) -> Tensor:
        """Activations to activations."""
        return limited(self.sums(x))

    def sums(self, x: Tensor) -> Tensor:
        """Neither rounded to whole numbers nor limited."""
        upper, lower = halves(x, self.step)
        if in_bytes(x):
            return self._product_and(lower, self._product(upper, self.upper_multiplier, self.upper_bias))
        sums = pointwise(upper, self.upper_weight, self.upper_bias)
        return sums.add_(pointwise(lower, self.scaled_weight, self.scaled_bias))


class NarrowClassPointwise(nn.Module):
    """A 1x1 convolution for each position class: operands [4, ..., inputs] to parameters [4, ..., outputs], rounded but
    not limited."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """weight: [4, inputs, outputs]; bias: [4, 1, outputs]."""
        super().__init__()
        layers = (NarrowPointwise(w.T, b[0]) for w, b in zip(weight, bias, strict=True))
        self.classes = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        parts = zip(self.classes, x, strict=True)
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
        for part in in_parts(x):
            self._mix_channels(part)
        return x

    def _mix_channels(self, x: Tensor) -> None:
        """In place."""
        u = narrowed(x)
        # The one product whose factors are not small: rounded once, as IEEE 754 has it on every device.
        product = self.value.sums(u).mul_(self.gate.sums(u).clamp_(0, GATE_LIMIT))
        self.contract.add(operands(product), x, out=x)


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
        noise = torch.randn(x.shape, generator=generator) * 1000
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
            and torch.equal(layer.sums_and(u, noise), sums.float() + noise)  # the addition is rounded once
            and torch.equal(depthwise.operands(u).double(), spatial.round().clamp(0, 255))
        )
        if not agree:
            return False
    return True
