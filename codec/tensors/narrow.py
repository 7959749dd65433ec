"""Integer layers on operands of eight bits.

An operand is a whole number from 0 to 255, a weight one from -127 to 127, so that processors with instructions for such
dot products (VNNI) do four times as many of them as float32 ones in the same time. Where these instructions or oneDNN's
kernels for them are missing, operands are held in float32, as activations are. Either way each sum is a whole number
below 2^24 and the same; which way is taken is seen from the operands' dtype.
"""

from __future__ import annotations

import platform
import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import OPERAND_LIMIT, OPERAND_STEP, OPERAND_ZERO
from ..integers import GATE_LIMIT
from .exact import Integer
from .layers import pointwise


def operands(x: Tensor, step: int = 1) -> Tensor:
    """x / step, rounded and limited, where 128 stands for 0. step: a power of two."""
    if not in_bytes(x):
        return _in_passes(x, step, -OPERAND_ZERO).add_(OPERAND_ZERO)
    # As signed bytes: the highest bit turned over adds 128.
    return _bytes(x, step, torch.qint8).bitwise_xor_(OPERAND_ZERO)


def samples(x: Tensor) -> Tensor:
    """x rounded and limited to 0..255, as uint8."""
    if x.device.type == "cpu":
        return _bytes(x, 1, torch.quint8)
    return _in_passes(x, 1, 0).to(torch.uint8)


def _bytes(x: Tensor, step: int, kind: torch.dtype) -> Tensor:
    """On the CPU, x / step, rounded and limited to -128..127 or 0..255, as uint8 (of the same bits)."""
    if one_pass_is_exact():
        return _in_one_pass(x, step, kind)
    signed = kind == torch.qint8
    # By way of integers with a sign: straight to uint8 takes several times as long.
    whole = _in_passes(x, step, -OPERAND_ZERO if signed else 0).to(torch.int8 if signed else torch.int16)
    return whole.view(torch.uint8) if signed else whole.to(torch.uint8)


def _in_passes(x: Tensor, step: int, least: int) -> Tensor:
    return (x / step).round_().clamp_(least, least + OPERAND_LIMIT)


def _in_one_pass(x: Tensor, step: int, kind: torch.dtype) -> Tensor:
    """torch has announced that what this calls will go some day."""
    quantised = torch.quantize_per_tensor(x, step, 0, kind)
    # Its bytes; `int_repr` would copy them.
    return torch.empty(0, dtype=torch.uint8, device=x.device).set_(
        quantised.untyped_storage(), 0, x.shape, quantised.stride()
    )


def narrowed(x: Tensor) -> Tensor:
    """The operands of activations: eight of their steps become one."""
    return operands(x, OPERAND_STEP)


def in_bytes(x: Tensor) -> bool:
    """Whether operands of this tensor's device are held in uint8."""
    return x.device.type == "cpu" and kernels_are_exact()


def halves(x: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Whole numbers from -128 * step to 128 * step - 1 as two operands, without loss: how many steps, where 128 stands
    for 0, and what is left. step: a power of two up to 256."""
    if not in_bytes(x):
        upper = (x / step).floor_()
        return upper + OPERAND_ZERO, torch.sub(x, upper, alpha=step)
    whole = x.to(torch.int16)
    lower = torch.bitwise_and(whole, step - 1).to(torch.uint8)
    upper = whole.bitwise_right_shift_(step.bit_length() - 1).to(torch.uint8)
    return upper.bitwise_xor_(OPERAND_ZERO), lower  # plus 128 is the highest bit turned over


class Narrowing(nn.Module):
    """`narrowed`, where the trained network has `Narrow`."""

    def forward(self, x: Tensor) -> Tensor:
        return narrowed(x)


class _Narrow(Integer):
    """What the narrow layers share: the weights as oneDNN's kernels take them."""

    def settle(self) -> None:
        super().settle()
        one_pass_is_exact()  # not in the midst of the first picture
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

    def _product(
        self,
        u: Tensor,
        multiplier: Tensor,
        bias: Tensor,
        out: torch.dtype = torch.float32,
        after: tuple[str, list[float]] = ("none", []),
    ) -> Tensor:
        """multiplier * (weight @ u) + bias: uint8 [..., inputs] -> [..., outputs]; if uint8, rounded and limited.

        after: what else oneDNN is to do with it, and its parameters."""
        flat = u.reshape(-1, u.shape[-1])
        kernel: Any = torch.ops.onednn.qlinear_pointwise.default
        result: Tensor = kernel(flat, 1.0, 0, self._packed, multiplier, self._zeros, bias, 1.0, 0, out, *after, "")
        return result.reshape(*u.shape[:-1], -1)

    def _add_product(self, u: Tensor, x: Tensor) -> None:
        """x, float32 [..., outputs], plus the sums, in place."""
        flat, other = u.reshape(-1, u.shape[-1]), x.view(-1, x.shape[-1])
        kernel: Any = torch.ops.onednn.qlinear_pointwise.binary
        scales = (self.multiplier, self._zeros, other, self.scaled_bias)
        kernel(flat, 1.0, 0, self._packed, *scales, 1.0, 0, torch.float32, 1.0, 0, "sum", 1.0, "none", [], "")


class NarrowPointwise(_Pointwise):
    """Of operands [..., inputs] to float32 [..., outputs]."""

    def forward(self, u: Tensor) -> Tensor:
        """The sums, exact."""
        if u.dtype != torch.uint8:
            return pointwise(u, self.scaled_weight, self.scaled_bias)
        return self._product(u, self.multiplier, self.scaled_bias)

    def operands(self, u: Tensor) -> Tensor:
        """The sums as operands of another layer."""
        if u.dtype != torch.uint8:
            return self.forward(u).round_().clamp_(0, OPERAND_LIMIT)
        return self._product(u, self.multiplier, self.scaled_bias, torch.uint8)

    def limited_sums(self, u: Tensor) -> Tensor:
        """From 0 to 6, as gates are."""
        if u.dtype != torch.uint8:
            return self.forward(u).clamp_(0, GATE_LIMIT)
        return self._product(u, self.multiplier, self.scaled_bias, after=("hardtanh", [0.0, GATE_LIMIT]))

    def add_to(self, x: Tensor, u: Tensor) -> Tensor:
        """x, contiguous float32 [..., outputs], plus the sums, in place: an addition rounded to float32."""
        if u.dtype != torch.uint8:
            return x.add_(self.forward(u))
        self._add_product(u, x)
        return x


class WidePointwise(_Pointwise):
    """Of whole numbers of 11 or 16 bits, float32 [..., inputs], to float32 [..., outputs].

    Their halves are multiplied by the same weights. Each of the two sums is exact, what they add up to is rounded to
    float32: with weights small enough to have that exact, too, the synthesis lost 0.02 dB."""

    upper_multiplier: Tensor
    upper_weight: Tensor
    upper_bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, step: int = OPERAND_STEP) -> None:
        """step: that of `halves`."""
        super().__init__(weight, bias)
        self.step = step
        self.largest_input = OPERAND_ZERO * step
        # What the other layers have once, for the upper halves.
        for name in ("upper_multiplier", "upper_weight", "upper_bias"):
            self.register_buffer(name, None, persistent=False)

    def settle(self) -> None:
        super().settle()
        self.upper_multiplier = self.multiplier * self.step
        self.upper_weight = self.scaled_weight * self.step
        self.upper_bias = -OPERAND_ZERO * self.upper_weight.sum(1)

    def forward(self, x: Tensor) -> Tensor:
        upper, lower = halves(x, self.step)
        if in_bytes(x):
            sums = self._product(upper, self.upper_multiplier, self.upper_bias)
            self._add_product(lower, sums)
            return sums
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


@cache
def one_pass_is_exact() -> bool:
    """Whether this torch makes bytes of float32 in one pass, and the same, up to 2^31."""
    # torch says once in a process that the call will go.
    warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
    with torch.device("cpu"):
        values = torch.cat([torch.arange(-300, 300, 0.25), torch.tensor([-(2.0**31) + 128, 2.0**31 - 128])])
        values = torch.cat([values, values.nextafter(values + 1), values.nextafter(values - 1)])
    # In one piece, and in short ones, which are not left to vectors.
    pieces = [values, *values.unfold(0, 7, 11)]
    try:
        return all(
            torch.equal(_in_one_pass(piece, step, kind).view(whole).float(), _in_passes(piece, step, least))
            for step, kind, whole, least in (
                (1, torch.qint8, torch.int8, -OPERAND_ZERO),
                (OPERAND_STEP, torch.qint8, torch.int8, -OPERAND_ZERO),
                (1, torch.quint8, torch.uint8, 0),
            )
            for piece in pieces
        )
    except (AttributeError, RuntimeError, TypeError):
        return False


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
        layer = NarrowPointwise(torch.empty(outputs, inputs), torch.empty(outputs))
        depthwise = NarrowDepthwise(torch.empty(inputs, 1, 3, 3), torch.empty(inputs))
        u = torch.randint(0, 2, (1, positions, 4, inputs), generator=generator).mul_(255).to(torch.uint8)
        u[0, 0] = 255
        noise = torch.randn((1, positions, 4, outputs), generator=generator) * 1000
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
            torch.equal(layer(u).double(), sums)
            and torch.equal(layer.operands(u).double(), sums.round().clamp(0, 255))
            and torch.equal(layer.limited_sums(u).double(), sums.clamp(0, GATE_LIMIT))
            and torch.equal(layer.add_to(noise.clone(), u), sums.float() + noise)  # the addition is rounded once
            and torch.equal(depthwise.operands(u).double(), spatial.round().clamp(0, 255))
        )
        if not agree:
            return False
    return True
