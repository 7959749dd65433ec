"""Integer twins of the layers, exact on every device.

Activations are integers held in float32, at most ACTIVATION_LIMIT in magnitude; weights and biases are integers too,
small enough that sum |w| * ACTIVATION_LIMIT + |bias| < 2^24 for every output. Every partial sum is then a whole number
that float32 holds exactly, so neither the order of summation nor fused multiply-adds can change a result. What follows
each convolution is a multiplication by a power of two (exact, so the weights and biases may be multiplied instead),
rounding half to even (exact) and clamping.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..bitstream.errors import WeightsError
from .config import ACTIVATION_LIMIT, ROWS, ModelConfig
from .layers import LEAKY_SLOPE, Add, ClassPointwise, Depthwise, Gate, Leaky, Pointwise, pointwise
from .prior import Prior
from .transforms import RateTable

ACCUMULATOR_LIMIT = 2**24
"""float32 holds every integer up to here."""


MAX_EXPONENT = 24
"""Multipliers are 2^0 to 2^-24: what leaves a layer is no larger than its sums."""

_lock = threading.RLock()


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Float32 products stay float32 inside: whatever the program has allowed elsewhere (TF32, bfloat16, autocast) is
    switched off, and restored afterwards. cuDNN is left out, so that no Winograd or FFT algorithm can be chosen.

    The settings are the process's: one thread at a time is let in."""
    with ExitStack() as stack:
        stack.enter_context(_lock)
        if hasattr(torch.backends.cuda.matmul, "fp32_precision"):  # torch >= 2.9
            mkldnn: Any = torch.backends.mkldnn
            for backend in (mkldnn.matmul, mkldnn.conv, torch.backends.cuda.matmul):
                stack.callback(setattr, backend, "fp32_precision", backend.fp32_precision)
                backend.fp32_precision = "ieee"
        else:
            stack.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
            torch.set_float32_matmul_precision("highest")
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        for device in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(torch.inference_mode())
        yield


def check_multiplier(multiplier: Tensor) -> None:
    """Raises WeightsError unless all are powers of two from 2^-MAX_EXPONENT to 1."""
    exponents = -multiplier.double().log2()
    if not (torch.equal(exponents, exponents.round()) and 0 <= exponents.min() <= exponents.max() <= MAX_EXPONENT):
        raise WeightsError(f"a multiplier of the prior is not a power of two from 2^-{MAX_EXPONENT} to 1")


class Integer(nn.Module):
    """A layer whose buffers are set by `freeze` or read from the weights file; `settle` then makes it ready."""

    input_axes: tuple[int, ...]
    """The axes of `weight` that a sum runs over."""
    weight: Tensor
    bias: Tensor
    multiplier: Tensor
    scaled_weight: Tensor
    scaled_bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros_like(weight, requires_grad=False))
        self.register_buffer("bias", torch.zeros_like(bias, requires_grad=False))
        # Powers of two, one an output.
        self.register_buffer("multiplier", torch.ones_like(bias, requires_grad=False))
        # The weights and biases times those.
        self.register_buffer("scaled_weight", None, persistent=False)
        self.register_buffer("scaled_bias", None, persistent=False)

    def settle(self) -> None:
        """To be called when the buffers have their values. Raises WeightsError unless every output's sums are exact
        whatever their order."""
        sums = self.weight.double().abs().sum(self.input_axes, keepdim=True)
        if (sums.reshape(self.bias.shape) * ACTIVATION_LIMIT + self.bias.double().abs()).max() >= ACCUMULATOR_LIMIT:
            raise WeightsError("weights of the prior are too large for exact arithmetic")
        if not (torch.equal(self.weight, self.weight.round()) and torch.equal(self.bias, self.bias.round())):
            raise WeightsError("weights of the prior are not integers")
        check_multiplier(self.multiplier)
        self.scaled_weight = self.weight * self.multiplier.reshape(sums.shape)
        self.scaled_bias = self.bias * self.multiplier


def limited(x: Tensor) -> Tensor:
    """Sums to activations, in place."""
    return x.round_().clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)


class IntegerPointwise(Integer):
    """1x1 convolution on integers."""

    input_axes = (1,)

    def forward(self, x: Tensor) -> Tensor:
        return limited(pointwise(x, self.scaled_weight, self.scaled_bias))


class IntegerDepthwise(Integer):
    """Depthwise 3x3 convolution on integers."""

    input_axes = (1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        channels = self.weight.shape[0]
        out = F.conv2d(x.permute(0, 3, 1, 2), self.scaled_weight, self.scaled_bias, padding=1, groups=channels)
        return limited(out.permute(0, 2, 3, 1))


class IntegerClassPointwise(Integer):
    """A 1x1 convolution for each position class; its outputs are parameters, rounded but not clamped."""

    input_axes = (1,)

    def forward(self, x: Tensor) -> Tensor:
        layers = zip(x, self.scaled_weight, self.scaled_bias, strict=True)
        return torch.stack([pointwise(part, weight.T, bias[0]) for part, weight, bias in layers]).round_()


class IntegerLeaky(nn.Module):
    """Negative values are divided by 2^7 and rounded."""

    def forward(self, x: Tensor) -> Tensor:
        # Rounding leaves what is not negative as it is.
        return F.leaky_relu_(x, LEAKY_SLOPE).round_()


class IntegerGate(nn.Module):
    """The second half's limit, ACTIVATION_LIMIT, stands for the 6 of relu6."""

    multiplier: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("multiplier", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        value, gate = x.chunk(2, dim=-1)
        # The product is contiguous, as the next layer needs it.
        product = value * gate.clamp_(min=0)
        return limited(product.mul_(self.multiplier))


class IntegerAdd(nn.Module):
    """Sum of integers that share a scale."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return y.add_(x).clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)


class IntegerRateTable(nn.Module):
    """A row of integers for each of the 256 rates."""

    rows: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(ROWS, channels))

    def forward(self, row: Tensor) -> Tensor:
        """row: int64 [B] -> float32 [B, 1, 1, C]."""
        return self.rows[row][:, None, None, :]


def integer_prior(config: ModelConfig) -> Prior:
    """A prior with the structure of the trained one and integer layers, all zero."""
    with torch.device("meta"):  # the floating point layers give only their shapes
        prior = Prior(config)
    for parent in list(prior.modules()):
        for name, layer in list(parent.named_children()):
            twin = _twin(layer)
            if twin is not None:
                setattr(parent, name, twin)
    return prior.to_empty(device="cpu").requires_grad_(False).eval()


def _twin(layer: nn.Module) -> nn.Module | None:
    kinds: dict[type[nn.Module], Any] = {
        Pointwise: lambda p: IntegerPointwise(p.weight, p.bias),
        ClassPointwise: lambda p: IntegerClassPointwise(p.weight, p.bias),
        Depthwise: lambda p: IntegerDepthwise(p.weight, p.bias),
        Leaky: lambda _: IntegerLeaky(),
        Gate: lambda g: IntegerGate(g.channels),
        Add: lambda _: IntegerAdd(),
        RateTable: lambda r: IntegerRateTable(r.knots.shape[1]),
    }
    make = kinds.get(type(layer))
    return make(layer) if make else None
